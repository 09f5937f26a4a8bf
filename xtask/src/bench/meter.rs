//! A relay that counts what clients send through it, heads and all: what a client says that it has sent is held against it.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::Context as _;

/// How much is passed on at once.
const PIECE_BYTES: usize = 256 * 1024;

/// The relay. It takes no more connections when it is dropped; those that are open end with their clients.
#[derive(Debug)]
pub(super) struct Meter {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    over: AtomicBool,
    sent_bytes: AtomicU64,
}

impl Meter {
    /// A relay to `to`.
    pub(super) fn open(to: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("opening the relay")?;
        let address = listener.local_addr().context("opening the relay")?;
        let shared = Arc::new(Shared { to, over: AtomicBool::new(false), sent_bytes: AtomicU64::new(0) });
        let acceptor = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || accept(&listener, &shared))
        };
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// Where clients call.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has come from clients since this was last asked.
    pub(super) fn take_bytes(&self) -> u64 {
        self.shared.sent_bytes.swap(0, Ordering::SeqCst)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // One more connection ends the wait for the next one.
        if TcpStream::connect(self.address).is_ok()
            && let Some(acceptor) = self.acceptor.take()
        {
            // A panic in it was told.
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        // Dropped where it can't be passed on: its client will say so.
        if let Ok(client) = client {
            let _ = connect(client, shared);
        }
    }
}

fn connect(client: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let server = TcpStream::connect(shared.to)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let answers = (server.try_clone()?, client.try_clone()?);
    let counter = Arc::clone(shared);
    thread::spawn(move || pass(client, server, |bytes| _ = counter.sent_bytes.fetch_add(bytes, Ordering::SeqCst)));
    thread::spawn(move || pass(answers.0, answers.1, |_| {}));
    Ok(())
}

/// Passes on what comes until one side ends.
fn pass(mut from: TcpStream, mut to: TcpStream, count: impl Fn(u64)) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        count(length as u64);
        if to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        // An error says that it has ended already.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sends_is_counted_and_what_it_gets_is_not() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let meter = Meter::open(server.local_addr().unwrap()).unwrap();
        let mut client = TcpStream::connect(meter.address).unwrap();
        client.write_all(&vec![7; 300_000]).unwrap();
        let mut end = server.accept().unwrap().0;
        let mut come = vec![0; 300_000];
        end.read_exact(&mut come).unwrap();
        end.write_all(b"thanks").unwrap();
        client.read_exact(&mut [0; 6]).unwrap();
        assert_eq!((meter.take_bytes(), meter.take_bytes()), (300_000, 0));
    }
}
