//! The line between one agent and the orchestrator: a proxy that can spoil what passes through it. Each connection has two
//! threads, one for each direction.

mod exchange;

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;

use self::exchange::{Exchange, Pass};
use super::schedule::Kind;

/// How often a waiting thread looks whether it is to go on.
const GLANCE: Duration = Duration::from_millis(10);
/// How much is passed on at once.
const PIECE: usize = 16 * 1024;

/// The line. It is cut when it is dropped.
#[derive(Debug)]
pub(super) struct Line {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    over: AtomicBool,
    rules: Mutex<Rules>,
}

/// What is to be done to what passes.
#[derive(Debug, Default)]
struct Rules {
    refuse: bool,
    hold: bool,
    uploads: VecDeque<Spoil>,
    grants: VecDeque<Spoil>,
    done: BTreeMap<Kind, u64>,
    open: Vec<TcpStream>,
}

/// What is to be done to one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoil {
    /// A byte of the picture is changed.
    Corrupt,
    /// The connection ends after so many bytes.
    Cut(u64),
    /// The connection ends when the answer comes.
    LoseAnswer,
    /// The connection ends when the grant comes.
    LoseGrant,
}

impl Spoil {
    const fn kind(self) -> Kind {
        match self {
            Self::Corrupt => Kind::CorruptUpload,
            Self::Cut(_) => Kind::CutUpload,
            Self::LoseAnswer => Kind::LoseAnswer,
            Self::LoseGrant => Kind::LoseGrant,
        }
    }
}

impl Line {
    /// A line to `to`.
    pub(super) fn open(to: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("opening the proxy")?;
        listener.set_nonblocking(true).context("opening the proxy")?;
        let address = listener.local_addr().context("opening the proxy")?;
        let shared = Arc::new(Shared::new(to));
        let acceptor = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || accept(&listener, &shared))
        };
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// Where it begins.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Spoils the next upload that nothing has been ordered for yet, or the next grant.
    pub(super) fn spoil(&self, spoil: Spoil) {
        let mut rules = self.shared.rules();
        match spoil {
            Spoil::Corrupt | Spoil::Cut(_) | Spoil::LoseAnswer => rules.uploads.push_back(spoil),
            Spoil::LoseGrant => rules.grants.push_back(spoil),
        }
    }

    /// Cuts every connection, and takes none.
    pub(super) fn refuse(&self) {
        let mut rules = self.shared.rules();
        rules.refuse = true;
        rules.cut_all();
    }

    /// Keeps back everything that is sent.
    pub(super) fn hold(&self) {
        self.shared.rules().hold = true;
    }

    /// Lets everybody and everything through again.
    pub(super) fn heal(&self) {
        let mut rules = self.shared.rules();
        (rules.refuse, rules.hold) = (false, false);
    }

    /// How often something has been spoilt.
    pub(super) fn spoilt(&self, kind: Kind) -> u64 {
        self.shared.rules().done.get(&kind).copied().unwrap_or_default()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.shared.rules().cut_all();
        if let Some(acceptor) = self.acceptor.take() {
            // It ends within moments, and a panic in it was told.
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn new(to: SocketAddr) -> Self {
        Self { to, over: AtomicBool::new(false), rules: Mutex::default() }
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Waits for as long as everything is held back.
    fn wait(&self) {
        while self.rules().hold && !self.is_over() {
            thread::sleep(GLANCE);
        }
    }

    fn note(&self, spoil: Spoil) {
        *self.rules().done.entry(spoil.kind()).or_default() += 1;
    }
}

impl Rules {
    fn cut_all(&mut self) {
        for stream in self.open.drain(..) {
            // An error says that it has ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    while !shared.is_over() {
        match listener.accept() {
            // Dropped, where nobody is to come through.
            Ok((client, _)) => {
                if let Ok(Some(both)) = connect(client, shared) {
                    threads.extend(both);
                }
            }
            Err(_) => thread::sleep(GLANCE),
        }
        threads.retain(|thread| !thread.is_finished());
    }
    shared.rules().cut_all();
    for thread in threads {
        // As above.
        let _ = thread.join();
    }
}

fn connect(client: TcpStream, shared: &Arc<Shared>) -> io::Result<Option<[JoinHandle<()>; 2]>> {
    if shared.rules().refuse {
        return Ok(None);
    }
    client.set_nonblocking(false)?;
    let server = TcpStream::connect(shared.to)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (back, forth) = ((server.try_clone()?, client.try_clone()?), (client, server));
    {
        let mut rules = shared.rules();
        rules.open.retain(|stream| stream.peer_addr().is_ok());
        rules.open.push(forth.0.try_clone()?);
        rules.open.push(forth.1.try_clone()?);
    }
    let exchange = Arc::new(Mutex::new(Exchange::default()));
    Ok(Some([(forth, Direction::Requests), (back, Direction::Answers)].map(|((from, to), direction)| {
        let (shared, exchange) = (Arc::clone(shared), Arc::clone(&exchange));
        thread::spawn(move || {
            // An error says that one of both has ended the connection; the other learns it by the end of theirs.
            let _ = pass(&from, &to, direction, &shared, &exchange);
            for stream in [from, to] {
                let _ = stream.shutdown(Shutdown::Both);
            }
        })
    })))
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Requests,
    Answers,
}

/// Passes on what comes until one side ends, or until the connection is to be cut.
fn pass(
    mut from: &TcpStream,
    mut to: &TcpStream,
    direction: Direction,
    shared: &Shared,
    exchange: &Mutex<Exchange>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece)?;
        let piece = &mut piece[..length];
        if length == 0 {
            return Ok(());
        }
        let pass = {
            let mut exchange = exchange.lock().unwrap_or_else(PoisonError::into_inner);
            match direction {
                Direction::Requests => exchange.request(piece, shared),
                Direction::Answers => exchange.answer(piece, shared),
            }
        };
        shared.wait();
        match pass {
            Pass::All => to.write_all(piece)?,
            Pass::Only(length) => return to.write_all(&piece[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::exchange::DEPTH;
    use super::*;

    /// A server that answers each connection's first piece with it, once.
    fn echo() -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let serve = thread::spawn(move || {
            for stream in listener.incoming().take(5) {
                let mut stream = stream.unwrap();
                let mut piece = vec![0; PIECE];
                let length = stream.read(&mut piece).unwrap_or_default();
                let _ = stream.write_all(&piece[..length]);
            }
        });
        (address, serve)
    }

    fn send(line: &Line, text: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(line.address()).unwrap();
        stream.write_all(text).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    #[test]
    fn what_passes_is_spoilt_as_it_was_ordered() {
        let (server, serve) = echo();
        let line = Line::open(server).unwrap();
        let mut upload = b"PUT /x HTTP/1.1\r\n\r\n\x89PNG".to_vec();
        upload.resize(upload.len() + 2 * DEPTH, b'.');
        assert_eq!(send(&line, &upload), upload);
        for spoil in [Spoil::Corrupt, Spoil::Cut(10), Spoil::LoseAnswer] {
            line.spoil(spoil);
        }
        let corrupted = send(&line, &upload);
        let changed: Vec<_> = (0..upload.len()).filter(|at| corrupted[*at] != upload[*at]).collect();
        assert_eq!((corrupted.len(), changed), (upload.len(), vec![19 + DEPTH]));
        // What came before the cut may have been echoed before the line was dead.
        assert!(upload[..10].starts_with(&send(&line, &upload)));
        assert_eq!(send(&line, &upload), b"");
        assert_eq!(send(&line, &upload), upload);
        line.refuse();
        assert_eq!(send(&line, &upload), b"");
        let spoilt = [Kind::CorruptUpload, Kind::CutUpload, Kind::LoseAnswer].map(|kind| line.spoilt(kind));
        assert_eq!(spoilt, [1, 1, 1]);
        drop(line);
        serve.join().unwrap();
    }
}
