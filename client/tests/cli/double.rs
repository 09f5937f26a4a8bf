//! A stand-in for an orchestrator that misbehaves on purpose: it cuts connections, is busy, and sends what it should not.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request, whose body has not been read.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    /// What of the body has not been read.
    left: u64,
    stream: BufReader<TcpStream>,
}

impl Request {
    /// Up to so many bytes of the body.
    pub(crate) fn read(&mut self, most: u64) -> Vec<u8> {
        let mut body = Vec::new();
        (&mut self.stream).take(self.left.min(most)).read_to_end(&mut body).unwrap();
        self.left -= body.len() as u64;
        body
    }

    pub(crate) fn read_all(&mut self) -> Vec<u8> {
        self.read(u64::MAX)
    }
}

/// An answer; `None` cuts the connection.
pub(crate) type Answer = Option<(u16, Vec<(&'static str, String)>, Vec<u8>)>;

#[expect(clippy::unnecessary_wraps, reason = "it is one of the answers")]
pub(crate) fn json(status: u16, body: &serde_json::Value) -> Answer {
    Some((status, vec![("content-type", "application/json".to_owned())], body.to_string().into_bytes()))
}

pub(crate) fn problem(status: u16, kind: &str) -> Answer {
    json(status, &serde_json::json!({ "type": format!("urn:haywain:{kind}"), "status": status, "detail": kind }))
}

/// The stand-in. What it was asked for is kept.
pub(crate) struct Double {
    address: SocketAddr,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl Double {
    /// Answers by `answer`, which is called by several threads.
    pub(crate) fn start(answer: impl Fn(&mut Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), Arc::clone(&asked));
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                std::thread::spawn(move || serve(stream, &*answer, &log));
            }
        });
        Self { address, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often something was asked that begins so.
    pub(crate) fn count(&self, start: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.starts_with(start)).count()
    }
}

fn serve(stream: TcpStream, answer: &(dyn Fn(&mut Request) -> Answer + Send + Sync), log: &Mutex<Vec<String>>) {
    let mut writer = stream.try_clone().unwrap();
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    if stream.read_line(&mut first).unwrap_or(0) == 0 {
        return;
    }
    let mut words = first.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    log.lock().unwrap().push(format!("{method} {path}"));
    let left = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut request = Request { method, path, headers, left, stream };
    let Some((status, headers, body)) = answer(&mut request) else { return };
    request.read_all();
    let mut head = format!("HTTP/1.1 {status} it is\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.extend([name, ": ", &value, "\r\n"]);
    }
    let _ = writer.write_all(format!("{head}\r\n").as_bytes());
    if request.method != "HEAD" {
        let _ = writer.write_all(&body);
    }
}
