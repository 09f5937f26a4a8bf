//! One newtype for each id, so that a lease can't be passed where a job is meant. All but a scene's id (which is a
//! digest: see [`crate::scene`]) are version 7 UUIDs: unique without asking anyone, and sorted by age.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, later in order than those made before it.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The sixteen bytes of the id, as a store keeps them.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id behind sixteen bytes that [`Self::as_bytes`] gave.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// A job: a request to render frames of one scene.
    JobId
);
id!(
    /// An agent: made by the agent at its first start and kept in its data folder.
    AgentId
);
id!(
    /// A lease: the time-limited right of one agent to render one batch.
    LeaseId
);
id!(
    /// A token: what it is called where it must not be told.
    TokenId
);
id!(
    /// One request for a lease: repeating it gets the same lease, not a second one.
    RequestId
);

/// One life of an agent's process: a number that the agent keeps in its data folder and raises at each start. A higher one
/// ends the leases of the lives before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub u32);
