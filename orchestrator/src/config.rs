//! What can be set, and how: flags, `HAYWAIN_…` variables, a TOML file, defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use haywain_shared::logging::LogFormat;
use haywain_shared::span::Span;
use serde::{Deserialize, Serialize};

use crate::enrol::NewMachine;
use crate::tokens::TokenCommand;

/// Haywain's orchestrator: a queue of frames to render, and the frames that come back.
///
/// Agents on Blender machines ask it for work (haywain-agent --orchestrator URL); clients send jobs to
/// POST /render and poll GET /status/{jobId}.
#[derive(Debug, Parser, Serialize)]
#[command(name = "haywain-orchestrator", version, after_long_help = AFTER_HELP)]
pub struct Flags {
    /// Address and port to listen on [default: 127.0.0.1:4000]
    #[arg(long, env = "HAYWAIN_LISTEN", value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<SocketAddr>,

    /// Folder for the queue and the frames [default: the platform's folder for data]
    #[arg(long, env = "HAYWAIN_DATA_DIR", value_name = "FOLDER", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,

    /// The .blend that jobs render when they name no scene
    #[arg(long, env = "HAYWAIN_SCENE", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    scene: Option<PathBuf>,

    /// The most frames that one job may have [default: 1000000]
    #[arg(long, env = "HAYWAIN_MAX_FRAMES", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_frames: Option<u64>,

    /// How long an agent keeps a batch without being heard of, for example 20s: at least three heartbeats [default: 20s]
    #[arg(long, env = "HAYWAIN_LEASE_TTL", value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_ttl: Option<Span>,

    /// How often agents are to say that they live [default: 5s]
    #[arg(long, env = "HAYWAIN_HEARTBEAT", value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat: Option<Span>,

    /// How long ended jobs are kept, with their frames, for example 720h [default: for ever]
    #[arg(long, env = "HAYWAIN_KEEP_JOBS", value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_jobs: Option<Span>,

    /// How long scenes are kept that no job refers to any more: at least 24h [default: 720h]
    #[arg(long, env = "HAYWAIN_KEEP_SCENES", value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_scenes: Option<Span>,

    /// The orchestrator's certificate, with those that lead to its authority, as a PEM file: turns TLS on
    #[arg(long, env = "HAYWAIN_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert: Option<PathBuf>,

    /// The certificate's private key, as a PEM file. Both files are read anew when they change
    #[arg(long, env = "HAYWAIN_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_key: Option<PathBuf>,

    /// Let everybody in who reaches the address, without a token: on a network that is yours alone, if at all
    #[arg(long, env = "HAYWAIN_INSECURE")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    insecure: bool,

    /// Let people without a token submit jobs with the default scene and ask how these are, and nothing else
    #[arg(long, env = "HAYWAIN_ANONYMOUS_SUBMIT")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    anonymous_submit: bool,

    /// A folder with the agent's programs for new machines, haywain-agent-x86_64 and haywain-agent-aarch64 [default: the folder of
    /// this program, and ../share/haywain from there]
    #[arg(long, env = "HAYWAIN_AGENT_PROGRAMS", value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_programs: Option<PathBuf>,

    /// How log lines look, on standard error: text or json [default: text]
    #[arg(long, env = "HAYWAIN_LOG_FORMAT", value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<LogFormat>,

    /// A TOML file with these settings, named as the flags but with underscores for dashes
    #[arg(long, env = "HAYWAIN_CONFIG", value_name = "FILE", global = true)]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// What to do instead of serving.
    #[command(subcommand)]
    #[serde(skip)]
    pub command: Option<Command>,
}

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say who may come in: make tokens, list them, take them back
    ///
    /// It works on the queue in the data folder, also while the orchestrator runs, which sees it at once.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Make a token for a new machine, and print the line to paste there
    ///
    /// The line installs the agent as a service on that machine, which fetches it from this orchestrator. Like `token` it works while
    /// the orchestrator runs.
    Enrol(NewMachine),
}

const AFTER_HELP: &str = "A flag wins over its variable, a variable over the file, the file over the default.\n\
    HAYWAIN_LOG says what is logged, in the words of tracing's EnvFilter (default: info).";

/// The settings, all sources taken together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where to listen.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Where everything is kept; the platform's folder unless one is set.
    pub data_dir: Option<PathBuf>,
    /// The default scene.
    pub scene: Option<PathBuf>,
    /// The most frames in a job.
    #[serde(default = "default_max_frames")]
    pub max_frames: NonZeroU64,
    /// How long a lease lasts without a heartbeat that names it.
    #[serde(default = "default_lease_ttl")]
    pub lease_ttl: Span,
    /// The time from one heartbeat of an agent to the next.
    #[serde(default = "default_heartbeat")]
    pub heartbeat: Span,
    /// How long ended jobs are kept; for ever unless one is set.
    pub keep_jobs: Option<Span>,
    /// How long scenes are kept that no job refers to.
    #[serde(default = "default_keep_scenes")]
    pub keep_scenes: Span,
    /// The certificate.
    pub tls_cert: Option<PathBuf>,
    /// Its key.
    pub tls_key: Option<PathBuf>,
    /// Whether everybody is let in.
    #[serde(default)]
    pub insecure: bool,
    /// Whether people without a token may submit jobs.
    #[serde(default)]
    pub anonymous_submit: bool,
    /// Where the agent's programs for new machines are.
    pub agent_programs: Option<PathBuf>,
    /// How log lines look.
    #[serde(default)]
    pub log_format: LogFormat,
}

fn default_listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 4000).into()
}

const fn default_max_frames() -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add(999_999)
}

const fn default_lease_ttl() -> Span {
    Span(Duration::from_secs(20))
}

const fn default_keep_scenes() -> Span {
    Span(Duration::from_hours(30 * 24))
}

const fn default_heartbeat() -> Span {
    Span(Duration::from_secs(5))
}
