//! What can be set, and how: flags, `HAYWAIN_…` variables, a TOML file, defaults.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use haywain_shared::logging::LogFormat;
use haywain_shared::orchestrator_url;
use haywain_shared::requirements::Tag;
use haywain_shared::size::Size;
use haywain_shared::span::Span;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::governor::{Processors, WantedSlots};
use crate::jail::Sandbox;
use crate::scripts::{AllowScripts, EVERYBODY};

/// Haywain's agent: renders frames with the Blender on this machine, for an orchestrator.
///
/// It calls the orchestrator and is never called, so that it works behind any router. It waits for an orchestrator that is
/// away.
#[derive(Debug, Parser, Serialize)]
#[command(name = "haywain-agent", version, after_long_help = AFTER_HELP)]
pub struct Flags {
    /// Where the orchestrator is, for example <http://render.example:4000> [default: <http://127.0.0.1:4000>]
    #[arg(long, env = "HAYWAIN_ORCHESTRATOR", value_name = "URL", value_parser = orchestrator_url::parse)]
    #[serde(skip_serializing_if = "Option::is_none")]
    orchestrator: Option<Url>,

    /// A file with the enrolment token, by which this machine is let in the first time (else the variable `HAYWAIN_TOKEN`)
    #[arg(long, env = "HAYWAIN_TOKEN_FILE", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<PathBuf>,

    /// The certificate authority of the orchestrator, as a PEM file, if it is your own [default: those that the system trusts]
    #[arg(long, env = "HAYWAIN_CA", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<PathBuf>,

    /// What people call this machine [default: its host name]
    #[arg(long, env = "HAYWAIN_NAME", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,

    /// Folder for scenes and for frames on their way [default: the platform's folder for data]
    #[arg(long, env = "HAYWAIN_DATA_DIR", value_name = "FOLDER", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,

    /// A Blender program, or a Python that has the bpy module; may be given more than once, and each job gets the one that suits
    /// its file [default: all that are found on PATH and in the usual places]
    #[arg(long, env = "HAYWAIN_BLENDER", value_name = "PATH", value_delimiter = PATH_DELIMITER)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blender: Vec<PathBuf>,

    /// How many frames to render at once, for example 4, or 4x2 for two threads each [default: what turns out to be fastest, and as
    /// many as fit into memory]
    #[arg(long, env = "HAYWAIN_SLOTS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    slots: Option<WantedSlots>,

    /// The most processors that all Blenders together may render with, for example 6, or 75% of those that there are
    #[arg(long, env = "HAYWAIN_MAX_CPU", value_name = "CORES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_cpu: Option<Processors>,

    /// Begin no frame while others use more processors of this machine than this, for example 2, or 25%; frames in work are
    /// finished. Such an agent takes no backups [default if no LOAD is named: 25%]
    #[arg(long, env = "HAYWAIN_WHEN_IDLE", value_name = "LOAD", num_args = 0..=1, require_equals = true, default_missing_value = "25%")]
    #[serde(skip_serializing_if = "Option::is_none")]
    when_idle: Option<Processors>,

    /// Begin no frame that another agent has in work, to be there if that one fails: for machines where power or traffic costs
    #[arg(long, env = "HAYWAIN_NO_BACKUPS")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_backups: bool,

    /// The most memory that all Blenders together may have, for example 16GiB [default: what the machine has beside the reserve]
    #[arg(long, env = "HAYWAIN_MAX_MEMORY", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_memory: Option<Size>,

    /// Memory that is left to other programs: when less is free, a frame is stopped before the system stops whatever it likes
    /// [default: 1GiB, or a twentieth of the memory if that is more]
    #[arg(long, env = "HAYWAIN_RESERVE_MEMORY", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    reserve_memory: Option<Size>,

    /// Leave after having had nothing to do for this long, for example 15m (s, m, h)
    #[arg(long, env = "HAYWAIN_EXIT_WHEN_IDLE", value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_when_idle: Option<Span>,

    /// How long frames in work may take once the agent leaves, for example 90s: what is not finished by then is given back, and
    /// the exit code is 4 [default: as long as they take]
    #[arg(long, env = "HAYWAIN_DRAIN_LIMIT", value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_limit: Option<Span>,

    /// Leave after having worked on this many jobs
    #[arg(long, env = "HAYWAIN_MAX_JOBS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_jobs: Option<u32>,

    /// Begin no frame while this many megabytes of finished ones wait for the orchestrator [default: 10240]
    #[arg(long, env = "HAYWAIN_MAX_OUTBOX_MB", value_name = "MB", value_parser = clap::value_parser!(u64).range(1..))]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_outbox_mb: Option<u64>,

    /// How much room scenes may take on this machine, for example 50GB or 20GiB; those unused for longest go first. A scene that is
    /// larger is rendered all the same: the log warns, and the room is free again when the next scene comes
    /// [default: 20GiB, or a tenth of the disk if that is less]
    #[arg(long, env = "HAYWAIN_CACHE_SIZE", value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_size: Option<Size>,

    /// A folder of add-ons that jobs may name; none of them is enabled unless a job does
    #[arg(long, env = "HAYWAIN_ADDONS", value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    addons: Option<PathBuf>,

    /// A word that jobs may ask for, such as big or upstairs; may be given more than once
    #[arg(long, env = "HAYWAIN_TAG", value_name = "NAME", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tag: Vec<Tag>,

    /// Let Python run that comes with a scene, for jobs that ask for it: whoever may submit such jobs may run programs here. With
    /// names, for example lighting,anna, for those alone that were submitted with a token of one of these names [default if none is
    /// named: everybody's]
    #[arg(long, env = "HAYWAIN_ALLOW_SCRIPTS", value_name = "TOKENS", num_args = 0..=1, require_equals = true, default_missing_value = EVERYBODY)]
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_scripts: Option<AllowScripts>,

    /// Whether Blender is kept from other files and the network: require, auto (as far as this system can) or off
    /// [default: auto]
    #[arg(long, env = "HAYWAIN_SANDBOX", value_name = "WHEN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<Sandbox>,

    /// How log lines look, on standard error: text or json [default: text]
    #[arg(long, env = "HAYWAIN_LOG_FORMAT", value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<LogFormat>,

    /// Serve how the agent does as metrics (Prometheus) on this port of the loopback address: GET /metrics [default: nowhere]
    #[arg(long, env = "HAYWAIN_METRICS", value_name = "PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<u16>,

    /// A TOML file with these settings, named as the flags but with underscores for dashes
    #[arg(long, env = "HAYWAIN_CONFIG", value_name = "FILE", global = true)]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// What to do instead of working.
    #[command(subcommand)]
    #[serde(skip)]
    pub errand: Option<Errand>,
}

/// What the program does instead of working as an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Errand {
    /// Tell what the agent on this machine is at, and what keeps it from working if it does not work. Exits with 1 if no agent runs
    /// with this data folder
    Status {
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Look at all that an agent needs here (Blender, devices, disk, clock, proxy, TLS, token), render a frame, and say what to do about
    /// what is wrong. Takes the flags that the agent takes, before this word. Exits with 1 if something is
    Doctor,
}

/// What stands between the paths in `HAYWAIN_BLENDER`: as in PATH.
const PATH_DELIMITER: char = if cfg!(windows) { ';' } else { ':' };

const AFTER_HELP: &str = "The first SIGTERM or Ctrl-C lets frames in work be finished and gives back the rest; the \
    second stops at once.\n\
    Exit codes: 0 left in order; 1 could not start or go on, and says why; 2 wrong flags; 3 another process runs as this \
    agent; 4 stopped at once, by a second signal or by --drain-limit: what was in work is given back.\n\
    A flag wins over its variable, a variable over the file, the file over the default.\n\
    HAYWAIN_LOG says what is logged, in the words of tracing's EnvFilter (default: info).";

/// The settings, all sources taken together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The orchestrator.
    #[serde(default = "orchestrator_url::on_this_machine", deserialize_with = "orchestrator_url::deserialize")]
    pub orchestrator: Url,
    /// Where the enrolment token is.
    pub token_file: Option<PathBuf>,
    /// The only authority to trust.
    pub ca: Option<PathBuf>,
    /// What people call this machine; its host name unless one is set.
    pub name: Option<String>,
    /// Where everything is kept; the platform's folder unless one is set.
    pub data_dir: Option<PathBuf>,
    /// Blenders to use; found by looking unless any are set.
    #[serde(default)]
    pub blender: Vec<PathBuf>,
    /// Frames to render at once; the governor's to find out unless set.
    pub slots: Option<WantedSlots>,
    /// The most processors to render with; all unless set.
    pub max_cpu: Option<Processors>,
    /// The load of others above which no frame is begun; none unless set.
    pub when_idle: Option<Processors>,
    /// Whether frames that another agent has in work are left to it.
    #[serde(default)]
    pub no_backups: bool,
    /// The most memory that all Blenders together may have; what the machine has beside the reserve unless set.
    pub max_memory: Option<Size>,
    /// The memory that is left to other programs; by the machine unless set.
    pub reserve_memory: Option<Size>,
    /// How long to have nothing to do before leaving; never unless set.
    pub exit_when_idle: Option<Span>,
    /// How long frames in work may take once it leaves; as long as they take unless set.
    pub drain_limit: Option<Span>,
    /// How many jobs to work on before leaving; no bound unless set.
    pub max_jobs: Option<u32>,
    /// How many megabytes (of a million bytes) of finished frames may wait for the orchestrator.
    #[serde(default = "default_max_outbox_mb")]
    pub max_outbox_mb: u64,
    /// How much room scenes may take on this machine; by its disk unless set.
    pub cache_size: Option<Size>,
    /// Where add-ons lie that jobs may name.
    pub addons: Option<PathBuf>,
    /// What jobs may ask for by name.
    #[serde(default)]
    pub tag: Vec<Tag>,
    /// For whom Python may run that comes with a scene.
    #[serde(default)]
    pub allow_scripts: AllowScripts,
    /// Whether Blender is kept from other files and the network.
    #[serde(default)]
    pub sandbox: Sandbox,
    /// The loopback port of its metrics; none unless set.
    pub metrics: Option<u16>,
    /// How log lines look.
    #[serde(default)]
    pub log_format: LogFormat,
}

const fn default_max_outbox_mb() -> u64 {
    10_240
}
