//! What stands for a job where trust is asked for: the token that it was submitted with, by its name, for as long as nobody has
//! revoked it. So whoever gets the name after that does not speak for the jobs of the one before.

/// What a job came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitter {
    /// No token: the farm is open, or this is.
    Nobody,
    /// A token of this name. One that has expired since was good when it counted.
    Token(String),
    /// One that had this name, and was taken back.
    Revoked(String),
}

impl Submitter {
    /// The name that stands for the job.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Token(name) => Some(name),
            Self::Nobody | Self::Revoked(_) => None,
        }
    }
}
