//! What it costs to hash files, or else standard input, with nothing around it: one after the other, with one buffer. `cargo xtask bench blobs` holds
//! the client against it.

use std::fs::File;
use std::io::Read;

use anyhow::Context as _;
use haywain_shared::digest::{Hasher, Sha256Digest};

/// How much is read at once.
const PIECE_BYTES: usize = 1024 * 1024;

fn main() -> anyhow::Result<()> {
    let mut files = std::env::args_os().skip(1).peekable();
    if files.peek().is_none() {
        println!("{}", digest(std::io::stdin().lock()).context("reading standard input")?);
    }
    for path in files {
        let digest = File::open(&path).and_then(digest).with_context(|| format!("reading {}", path.display()))?;
        println!("{digest}");
    }
    Ok(())
}

fn digest(mut from: impl Read) -> std::io::Result<Sha256Digest> {
    let (mut hasher, mut piece) = (Hasher::default(), vec![0; PIECE_BYTES]);
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            length => hasher.update(&piece[..length]),
        }
    }
}
