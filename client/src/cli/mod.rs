//! The command line: every command, flag and help text. It decides nothing.

mod files;
mod machines;
mod picture;
mod submit;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use haywain_shared::frames::FrameNumber;
use haywain_shared::job::JobState;
use haywain_shared::limits::MAX_PRIORITY;
use haywain_shared::orchestrator_url;
use url::Url;

pub use files::FileArgs;
pub use machines::MachineArgs;
pub use picture::PictureArgs;
pub use submit::{FrameText, SubmitArgs};

use crate::exit;
use crate::settings::Given;

/// Haywain's command line for people: sends scenes to a farm, watches jobs and fetches their frames.
///
/// `haywain submit shot.blend -f 1-250 --watch --out frames` sends a scene with all that it links, waits for its frames and
/// fetches each as it is finished.
#[derive(Debug, Parser)]
#[command(name = "haywain", version, after_long_help = after_help(), subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What goes for every command.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

fn after_help() -> String {
    format!(
        "{}\n\nWhat is asked for goes to standard output, progress and errors to standard error; with --json standard output \
         has JSON alone.\n\
         A job or an agent is named by its id, by the beginning or the end of it, or by its name if that is unique; the \
         youngest job is also called `last`.\n\
         A flag wins over its variable, a variable over config.toml in the platform's folder for settings \
         (on Linux ~/.config/haywain/config.toml: server = \"URL\", token = \"…\"), and that over the default.",
        exit::HELP
    )
}

/// What goes for every command.
#[derive(Debug, Args)]
pub struct Common {
    #[arg(help = "Where the orchestrator is [default: http://127.0.0.1:4000]", long, global = true, env = "HAYWAIN_SERVER", value_name = "URL", value_parser = orchestrator_url::parse, help_heading = "Everywhere")]
    server: Option<Url>,
    /// A file with the token that says who asks (else the variable `HAYWAIN_TOKEN`, else what `haywain login` has kept, else the settings)
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    token_file: Option<PathBuf>,
    /// The certificate authority of the orchestrator, as a PEM file, if it is one of your own
    #[arg(long, global = true, env = "HAYWAIN_CA", value_name = "FILE", help_heading = "Everywhere")]
    ca: Option<PathBuf>,
    /// A TOML file with settings, in place of the usual one
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    config: Option<PathBuf>,
    /// Answer in JSON: one document, or a line for each event while watching
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
}

impl Common {
    /// What was given of the settings.
    #[must_use]
    pub fn given(&self) -> Given {
        Given {
            server: self.server.clone(),
            ca: self.ca.clone(),
            token_file: self.token_file.clone(),
            config: self.config.clone(),
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send a scene with all that it links, and submit a job for it
    Submit(Box<SubmitArgs>),
    /// Send a scene as `submit` does and say what is in it, and what speaks against rendering it
    ///
    /// An agent opens it, before any frames, and says what it finds; no job is made. It ends with 7 when a plain `submit` would be
    /// refused.
    Inspect(Box<InspectArgs>),
    /// Show how a job stands
    Status(JobArgs),
    /// List jobs, youngest first
    Jobs(JobsArgs),
    /// Wait until a job ends, and fetch its frames as they finish
    ///
    /// An orchestrator that is away meanwhile is waited for. Ctrl-C ends the watch and not the job: `haywain watch` comes back to
    /// it, and fetches what it has not fetched yet.
    Watch(WatchArgs),
    /// Fetch the frames that a job has finished
    Download(DownloadArgs),
    /// Show why frames failed, and the ends of Blender's logs
    Logs(LogsArgs),
    /// End a job: Blenders that work on it stop
    Cancel(JobArgs),
    /// Hand out no more frames of a job; those that are in work go on
    Pause(JobArgs),
    /// Hand out the frames of a paused job again
    Resume(JobArgs),
    /// Try all failed frames of a job again
    Retry(JobArgs),
    /// Render chosen done frames of a job anew
    Rerender(RerenderArgs),
    /// Change how urgent a job is
    Priority(PriorityArgs),
    /// Remove an ended job with its frames from the orchestrator
    Delete(JobArgs),
    /// List the agents
    Agents,
    /// Let an agent finish what it has and take no more
    Drain(AgentArgs),
    /// Let a drained or set-aside agent take work again
    Undrain(AgentArgs),
    /// List the scenes that the orchestrator has
    Scenes(ScenesArgs),
    /// Keep a token for the orchestrator, which all further commands then show
    ///
    /// The token comes from `--token-file`, from the variable `HAYWAIN_TOKEN`, or is asked for. It is kept in the user's folder for
    /// settings, in a file that nobody else can read, for the orchestrator at `--server` alone.
    Login,
    /// Forget the token that was kept for the orchestrator
    Logout,
    /// Print a script that completes this command line in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What to look at.
#[derive(Debug, Args)]
#[command(after_long_help = submit::FILES_HELP)]
pub struct InspectArgs {
    /// The .blend, or the id of a scene that the orchestrator has
    #[arg(value_name = "SCENE.blend|ID")]
    pub scene: PathBuf,
    /// What belongs to the scene.
    #[command(flatten)]
    pub files: FileArgs,
}

/// A job.
#[derive(Debug, Args)]
pub struct JobArgs {
    /// The job: its id, the beginning or end of it, its name, or `last`
    #[arg(value_name = "JOB")]
    pub job: String,
}

/// An agent.
#[derive(Debug, Args)]
pub struct AgentArgs {
    /// The agent: its id, the beginning or end of it, or its name
    #[arg(value_name = "AGENT")]
    pub agent: String,
}

/// Which jobs to list.
#[derive(Debug, Args)]
pub struct JobsArgs {
    /// Only those in this state
    #[arg(long, value_enum)]
    pub state: Option<State>,
    /// At most so many
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}

/// Which scenes to list.
#[derive(Debug, Args)]
pub struct ScenesArgs {
    /// At most so many
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}

/// Which job to watch.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The job: its id, the beginning or end of it, its name, or `last`
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Fetch frames into this folder as they finish
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Which frames to fetch.
#[derive(Debug, Args)]
pub struct DownloadArgs {
    /// The job: its id, the beginning or end of it, its name, or `last`
    #[arg(value_name = "JOB")]
    pub job: String,
    /// The folder to fetch them into
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// Only frames that were recorded after this cursor, which an earlier download has told
    #[arg(long, value_name = "CURSOR", default_value_t = 0)]
    pub since: u64,
}

/// Which logs to show.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The job: its id, the beginning or end of it, its name, or `last`
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Only those of this frame
    #[arg(long, value_name = "N", value_parser = submit::frame_number, allow_negative_numbers = true)]
    pub frame: Option<FrameNumber>,
}

/// What to render anew.
#[derive(Debug, Args)]
pub struct RerenderArgs {
    /// The job: its id, the beginning or end of it, its name, or `last`
    #[arg(value_name = "JOB")]
    pub job: String,
    /// The frames: 7, 1-20, 1-20x2, -10..-1, with commas between them; may be given more than once
    #[arg(short, long, value_name = "LIST", required = true, allow_hyphen_values = true)]
    pub frames: Vec<FrameText>,
}

/// How urgent a job is to be.
#[derive(Debug, Args)]
pub struct PriorityArgs {
    /// The job: its id, the beginning or end of it, its name, or `last`
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Jobs of a higher one are served first
    #[arg(value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-i64::from(MAX_PRIORITY)..=i64::from(MAX_PRIORITY)))]
    pub priority: i32,
}

/// A job's state, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// No agent has taken a batch of it yet
    Pending,
    /// Agents work on it, or could
    Running,
    /// Somebody has paused it
    Paused,
    /// Every frame is done
    Completed,
    /// Nothing can change any more, and a frame is missing
    Failed,
    /// Somebody has cancelled it
    Cancelled,
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Running => Self::Running,
            State::Paused => Self::Paused,
            State::Completed => Self::Completed,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
        }
    }
}
