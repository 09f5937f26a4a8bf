//! Large files over HTTP with as little around them as can be: what is measured is to be the server, not this end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::{PIECE_BYTES, write_again_and_again};
use crate::interrupt;

/// A server that says nothing for so long is lost.
const SILENCE: Duration = Duration::from_mins(2);

/// Sends `size_bytes` made of `piece` again and again, and says how long it took until they were acknowledged by a 201.
pub(super) fn upload(to: SocketAddr, path: &str, piece: &[u8], size_bytes: u64) -> anyhow::Result<Duration> {
    let mut stream = connect(to)?;
    let start = Instant::now();
    write!(
        stream,
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {size_bytes}\r\n\r\n"
    )?;
    write_again_and_again(piece, size_bytes, &mut stream).with_context(|| format!("PUT {path}"))?;
    expect(&mut BufReader::new(stream), "201", path)?;
    Ok(start.elapsed())
}

/// Fetches a file of `size_bytes`, and says how long it took.
pub(super) fn download(from: SocketAddr, path: &str, size_bytes: u64) -> anyhow::Result<Duration> {
    let mut stream = connect(from)?;
    let start = Instant::now();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = BufReader::with_capacity(PIECE_BYTES, stream);
    expect(&mut answer, "200", path)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut come = 0;
    loop {
        interrupt::check()?;
        match answer.read(&mut piece).with_context(|| format!("GET {path}"))? {
            0 => break,
            length => come += length as u64,
        }
    }
    if come != size_bytes {
        bail!("GET {path}: {come} bytes came, not {size_bytes}");
    }
    Ok(start.elapsed())
}

fn connect(to: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(to).with_context(|| format!("connecting to {to}"))?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    Ok(stream)
}

/// Reads the head of an answer, which must have this status.
fn expect(answer: &mut BufReader<TcpStream>, status: &str, path: &str) -> anyhow::Result<()> {
    let mut first = String::new();
    answer.read_line(&mut first).with_context(|| format!("the answer to {path}"))?;
    if first.split(' ').nth(1) != Some(status) {
        bail!("{path} is answered by {:?} where {status} was expected", first.trim_end());
    }
    loop {
        let mut line = String::new();
        answer.read_line(&mut line)?;
        if line.trim_end().is_empty() {
            return Ok(());
        }
    }
}
