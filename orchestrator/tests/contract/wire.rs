//! One raw HTTP exchange after the other over a plain socket, each within a deadline, so that a hang is a failure.

use std::fmt::{self, Write as _};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take here. Far below the 25 seconds of a long poll, far above what an answer takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// A request, written down byte by byte.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self { head: format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n"), body: Vec::new() }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", path).header("Content-Type", "application/json").body(body)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        write!(self.head, "{name}: {value}\r\n").unwrap();
        self
    }

    /// From the bearer of a token.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn accept_json(self) -> Self {
        self.header("Accept", "application/json")
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("Content-Length", &length)
    }

    /// The bytes of a request after which the connection stays open.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), b"\r\n", &self.body].concat()
    }

    /// Sends it on a connection of its own.
    pub(crate) fn send(self, to: SocketAddr) -> Answer {
        exchange(to, &self.header("Connection", "close").bytes())
    }
}

/// Sends the bytes of one request that asks for the connection to be closed, and reads everything that comes back.
pub(crate) fn exchange(to: SocketAddr, request: &[u8]) -> Answer {
    let mut wire = Wire::connect(to);
    wire.send(request);
    let answer = wire.answer();
    assert_eq!(wire.rest(), b"", "bytes after the answer {answer:?}");
    answer
}

/// An answer, taken apart.
#[derive(Clone)]
pub(crate) struct Answer {
    /// The first line, whole.
    pub(crate) status_line: String,
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?}", self.status_line, self.headers, String::from_utf8_lossy(&self.body))
    }
}

impl Answer {
    /// A header's value, exactly; none may come twice.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} comes twice: {self:?}");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It is a problem document (RFC 9457) of this kind, and nothing else.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, kind: &str) -> String {
        assert_eq!((self.status, self.header("content-type")), (status, Some("application/problem+json")), "{self:?}");
        let problem = self.json();
        assert_eq!((&problem["type"], &problem["status"]), (&kind.into(), &status.into()), "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(!detail.is_empty(), "{problem}");
        detail.to_owned()
    }

    /// It is a plain answer with exactly this first line and this body.
    #[track_caller]
    pub(crate) fn assert_plain(&self, status_line: &str, body: &str) {
        assert_eq!(self.status_line, status_line, "{self:?}");
        assert_eq!(self.header("content-type"), Some("text/html; charset=utf-8"), "{self:?}");
        assert_eq!(self.text(), body);
    }
}

/// A connection.
pub(crate) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
    deadline: Instant,
}

impl Wire {
    pub(crate) fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&to, DEADLINE).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Self { stream, read: Vec::new(), deadline: Instant::now() + DEADLINE }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Says that nothing more will be sent.
    pub(crate) fn shut(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The next answer.
    pub(crate) fn answer(&mut self) -> Answer {
        loop {
            let head = String::from_utf8(self.up_to("\r\n\r\n")).unwrap();
            let mut answer = parse_head(&head);
            if answer.status < 200 {
                continue;
            }
            answer.body = self.body_of(&answer);
            return answer;
        }
    }

    /// The next answer's head: that of an answer to `HEAD` is all there is.
    pub(crate) fn head(&mut self) -> Answer {
        let head = String::from_utf8(self.up_to("\r\n\r\n")).unwrap();
        parse_head(&head)
    }

    /// What has come since the last look, up to the end of the first line that has these words.
    pub(crate) fn until(&mut self, words: &str) -> String {
        let mut come = String::new();
        while !come.contains(words) {
            come += &String::from_utf8(self.up_to("\n")).unwrap();
        }
        come
    }

    /// All that comes until the other end closes, which it must.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.read)
    }

    /// Whether anything has come.
    pub(crate) fn has_come(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        !self.read.is_empty() || self.stream.peek(&mut [0; 1]).is_ok()
    }

    /// Nothing comes for a while: the answer is held back.
    pub(crate) fn assert_silent(&mut self, during: Duration) {
        self.stream.set_read_timeout(Some(during)).unwrap();
        let read = self.stream.read(&mut [0; 1]).map_err(|error| error.kind());
        assert!(matches!(read, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{read:?}");
    }

    fn body_of(&mut self, answer: &Answer) -> Vec<u8> {
        if answer.status == 204 {
            Vec::new()
        } else if let Some(length) = answer.header("content-length") {
            self.exactly(length.parse().unwrap())
        } else if answer.header("transfer-encoding") == Some("chunked") {
            let mut body = Vec::new();
            loop {
                let size = String::from_utf8(self.up_to("\r\n")).unwrap();
                let chunk = self.exactly(usize::from_str_radix(size.trim_end(), 16).unwrap() + 2);
                if chunk == b"\r\n" {
                    return body;
                }
                body.extend_from_slice(&chunk[..chunk.len() - 2]);
            }
        } else {
            self.rest()
        }
    }

    fn up_to(&mut self, end: &str) -> Vec<u8> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end.as_bytes()) {
                return self.read.drain(..at + end.len()).collect();
            }
            assert!(self.more(), "closed before {end:?}: {:?}", String::from_utf8_lossy(&self.read));
        }
    }

    fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.read.len() < length {
            assert!(self.more(), "closed after {} of {length} bytes", self.read.len());
        }
        self.read.drain(..length).collect()
    }

    /// Reads once; false when the other end has closed.
    fn more(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "no answer in time; so far {:?}", String::from_utf8_lossy(&self.read));
        self.stream.set_read_timeout(Some(left)).unwrap();
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(length) => {
                self.read.extend_from_slice(&piece[..length]);
                length > 0
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => true,
            Err(error) => panic!("{error}; so far {:?}", String::from_utf8_lossy(&self.read)),
        }
    }
}

fn parse_head(head: &str) -> Answer {
    let mut lines = head.trim_end().split("\r\n");
    let status_line = lines.next().unwrap().to_owned();
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?} is no header"));
            (name.to_lowercase(), value.to_owned())
        })
        .collect();
    let status = status.unwrap_or_else(|| panic!("{status_line:?} has no status"));
    Answer { status_line, status, headers, body: Vec::new() }
}

/// JSON that means what `json` means, in exactly `length` bytes.
pub(crate) fn padded(json: &str, length: usize) -> String {
    [json, &" ".repeat(length - json.len())].concat()
}

/// Looks again and again until there is something, within the deadline.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
