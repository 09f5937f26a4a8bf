//! `cargo xtask bench`: figures, not tests. A figure depends on the machine and on what else it does.

mod blobs;
mod grant;
mod meter;
mod plain;
mod raw;
mod seeds;
mod spread;
mod submits;
mod timed;

use clap::Subcommand;

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
