//! What is too often, too much at once, too large or too slow.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::server::{Farm, sha256};
use crate::wire::{DEADLINE, Request, Wire, eventually};

/// How often something is sent that comes bit by bit.
const BIT_BY_BIT: Duration = Duration::from_millis(200);

#[test]
fn strangers_that_call_too_often_are_told_when_to_come_back_and_others_are_not() {
    let (farm, [ann]) = Farm::with_keys([("submit", "ann")], json!({}));
    let guess = || Request::get("/api/v1/jobs").bearer(&ann.replacen("submit_", "operate_", 1));
    // What is allowed grows meanwhile, by less than so many calls take.
    let refusal = |call: &dyn Fn() -> Request| {
        (0..200).map(|_| call().send(farm.address)).find(|answer| answer.status != 401).unwrap()
    };
    let refused = refusal(&guess);
    refused.assert_problem(429, "urn:haywain:too-many-requests");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait} s");
    assert_eq!(refusal(&|| Request::get("/api/v1/jobs")).status, 429);
    // Who has a good token is known by that, wherever it calls from.
    assert_eq!(Request::get("/api/v1/jobs").bearer(&ann).send(farm.address).status, 200);
}

#[test]
fn one_token_holds_so_much_open_and_no_more() {
    let (farm, [ann, bob]) = Farm::with_keys([("submit", "ann"), ("submit", "bob")], json!({}));
    let stream = |token: &str| {
        let mut wire = Wire::connect(farm.address);
        wire.send(&Request::get("/api/v1/events").bearer(token).bytes());
        let status = wire.head().status;
        (wire, status)
    };
    let mut open: Vec<_> = (0..32).map(|_| stream(&ann)).collect();
    assert!(open.iter().all(|(_, status)| *status == 200));
    let (wire, status) = stream(&ann);
    assert_eq!(status, 429);
    wire.shut();
    assert_eq!(stream(&bob).1, 200);
    open.pop();
    eventually("a place", || (stream(&ann).1 == 200).then_some(()));
}

/// Begins one call more than `most`, all but the last byte of each: the one that comes last is refused, and the others go on.
fn one_is_too_many(most: usize, call: impl Fn(usize) -> Request) {
    let (farm, [ann]) = Farm::with_keys([("submit", "ann")], json!({}));
    let begin = |number: usize| {
        let whole = call(number).bearer(&ann).bytes();
        let mut wire = Wire::connect(farm.address);
        wire.send(&whole[..whole.len() - 1]);
        (wire, whole[whole.len() - 1])
    };
    let mut open: Vec<_> = (0..=most).map(begin).collect();
    let refused = eventually("a refusal", || open.iter_mut().position(|(wire, _)| wire.has_come()));
    let (mut wire, _) = open.remove(refused);
    let answer = wire.answer();
    answer.assert_problem(429, "urn:haywain:too-many-requests");
    assert_eq!(answer.header("retry-after"), Some("1"));
    for (mut wire, last) in open {
        wire.send(&[last]);
        assert_eq!(wire.answer().status, 201);
    }
}

#[test]
fn one_token_sends_so_many_files_at_once_and_no_more() {
    one_is_too_many(32, |number| {
        let content = format!("file {number}");
        Request::new("PUT", &format!("/api/v1/blobs/{}", sha256(content.as_bytes()))).body(content)
    });
}

#[test]
fn one_token_sends_so_many_manifests_at_once_and_no_more() {
    one_is_too_many(4, |number| {
        let name = format!("{number}.blend");
        let file = json!({"path": name, "sizeBytes": 1, "sha256": sha256(b"x")});
        Request::post("/api/v1/scenes", json!({"entry": name, "files": [file]}).to_string())
    });
}

#[test]
fn headers_have_a_bound() {
    let farm = Farm::start();
    let many =
        (0..200).fold(Request::get("/api/v1/jobs"), |request, number| request.header(&format!("X-{number}"), "x"));
    assert_eq!(many.send(farm.address).status, 431);
    let large = Request::get("/api/v1/jobs").header("X-Large", &"x".repeat(1_000_000));
    let mut wire = Wire::connect(farm.address);
    wire.send(&large.bytes());
    assert_eq!(wire.answer().status, 431);
}

/// Sends something bit by bit, until the other end has had enough; how long that took.
fn dribble(to: SocketAddr, start: &[u8], bit: &[u8]) -> (Duration, String) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(to).unwrap();
    stream.write_all(start).unwrap();
    stream.set_read_timeout(Some(BIT_BY_BIT)).unwrap();
    let begun = Instant::now();
    let mut said = Vec::new();
    loop {
        let mut piece = [0; 4096];
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => said.extend_from_slice(&piece[..length]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
        if stream.write_all(bit).is_err() {
            break;
        }
        assert!(begun.elapsed() < 10 * DEADLINE, "it is never cut off");
    }
    (begun.elapsed(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn what_comes_bit_by_bit_is_cut_off_and_holds_nothing_up() {
    let farm = Farm::start();
    let address = farm.address;
    let body = Request::post("/render", vec![b' '; 100_000]).bytes();
    let head = body.len() - 100_000;
    let blob = Request::new("PUT", &format!("/api/v1/blobs/{}", sha256(b"x"))).body(vec![b' '; 100_000]).bytes();
    let blob_head = blob.len() - 100_000;
    let slow = [
        // Headers, one after the other; the first byte alone; bodies, byte by byte.
        (b"GET /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n".to_vec(), &b"X: y\r\n"[..]),
        (b"G".to_vec(), b""),
        (body[..head].to_vec(), b" "),
        (blob[..blob_head].to_vec(), b" "),
    ];
    let dribbling: Vec<_> =
        slow.into_iter().map(|(start, bit)| std::thread::spawn(move || dribble(address, &start, bit))).collect();
    while dribbling.iter().any(|thread| !thread.is_finished()) {
        let asked = Instant::now();
        assert_eq!(Request::get("/api/v1/jobs").send(address).status, 200);
        assert!(asked.elapsed() < DEADLINE);
        std::thread::sleep(BIT_BY_BIT);
    }
    for thread in dribbling {
        let (lasted, said) = thread.join().unwrap();
        assert!(lasted < Duration::from_mins(1), "{lasted:?}: {said}");
    }
}
