//! `cargo xtask bench`: figures, not tests. A figure depends on the machine and on what else it does.

mod agent;
mod blobs;
mod governor;
mod grant;
mod meter;
mod plain;
mod raw;
mod scale;
mod seeds;
mod spread;
mod submits;
mod timed;

use std::io;

use clap::Subcommand;

use crate::interrupt;

/// A mebibyte.
const MIB: u64 = 1024 * 1024;
/// What large files are made of, again and again.
const PIECE_BYTES: usize = 1024 * 1024;

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// The time that a submitted job takes to reach a waiting agent, on the loopback
    Grant(grant::Flags),
    /// The speed of large files into the orchestrator and out of it, against a bare handler's, the memory that they take, and what
    /// a large scene costs that is submitted again
    Blobs(blobs::Flags),
    /// What the agent itself takes of its machine: idle, for each frame, and for each megabyte
    Agent(agent::Flags),
    /// Frames a second with the governor against the best fixed number of slots and threads, for a light and a heavy scene, and that
    /// against one Blender with all threads: real Blender, in pairs that take turns
    Governor(governor::Flags),
    /// Frames a second of three agents against three times those of one, while a job runs: agents come, and are drained away
    Scale(scale::Flags),
    /// Seeds of the simulation, in release
    Seeds(seeds::Flags),
}

/// Measures.
pub(crate) fn run(bench: &Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Grant(flags) => grant::run(flags),
        Bench::Blobs(flags) => blobs::run(flags),
        Bench::Agent(flags) => agent::run(flags),
        Bench::Governor(flags) => governor::run(flags),
        Bench::Scale(flags) => scale::run(flags),
        Bench::Seeds(flags) => seeds::run(flags),
    }
}

/// Writes `size_bytes` made of `piece`.
fn write_again_and_again(piece: &[u8], size_bytes: u64, into: &mut impl io::Write) -> anyhow::Result<()> {
    let mut left = size_bytes;
    while left > 0 {
        interrupt::check()?;
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        into.write_all(&piece[..length])?;
        left -= length as u64;
    }
    Ok(())
}

/// What a large file is made of that no other `number` makes, of no use to compress.
fn piece(number: u32) -> Vec<u8> {
    let numbers = (0_u32..).map(|at| (at ^ number.rotate_left(16)).wrapping_mul(2_654_435_761));
    numbers.flat_map(u32::to_le_bytes).take(PIECE_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_another() {
        let pieces: std::collections::BTreeSet<_> = (0..20).chain(10_000..10_020).map(piece).collect();
        assert_eq!(pieces.len(), 40);
        assert!(pieces.iter().all(|piece| piece.len() == PIECE_BYTES));
    }
}
