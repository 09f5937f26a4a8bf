//! What it costs to hash files with nothing around it: one after the other, with one buffer. `cargo xtask bench blobs` holds
//! the client against it.

use std::fs::File;
use std::io::Read as _;

use anyhow::Context as _;
use haywain_shared::digest::Hasher;

/// How much is read at once.
const PIECE_BYTES: usize = 1024 * 1024;

fn main() -> anyhow::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    for path in std::env::args_os().skip(1) {
        let reading = || format!("reading {}", path.display());
        let mut file = File::open(&path).with_context(reading)?;
        let mut hasher = Hasher::default();
        loop {
            let length = file.read(&mut piece).with_context(reading)?;
            if length == 0 {
                break;
            }
            hasher.update(&piece[..length]);
        }
        println!("{}", hasher.finish());
    }
    Ok(())
}
