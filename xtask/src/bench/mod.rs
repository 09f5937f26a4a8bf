//! `cargo xtask bench`: figures, not tests. A figure depends on the machine and on what else it does.

mod blobs;
mod grant;
mod raw;
mod seeds;
mod spread;

use clap::Subcommand;

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// The time that a submitted job takes to reach a waiting agent, on the loopback
    Grant(grant::Flags),
    /// The speed of large files into the orchestrator and out of it, against a bare handler's, and the memory that they take
    Blobs(blobs::Flags),
    /// Seeds of the simulation, in release
    Seeds(seeds::Flags),
}

/// Measures.
pub(crate) fn run(bench: &Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Grant(flags) => grant::run(flags),
        Bench::Blobs(flags) => blobs::run(flags),
        Bench::Seeds(flags) => seeds::run(flags),
    }
}
