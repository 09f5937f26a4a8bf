//! The files of scenes on the wire: sent whole or in parts, gone on with after a cut, fetched whole or in parts.

use std::net::SocketAddr;

use serde_json::json;

use crate::program::{Running, program};
use crate::server::{Farm, Folder, files_below, sha256};
use crate::wire::{Answer, Request, Wire, eventually};

/// What nobody has, of some length.
fn bytes(length: usize) -> Vec<u8> {
    (0_u32..).flat_map(|number| (number.wrapping_mul(2_654_435_761)).to_le_bytes()).take(length).collect()
}

fn path(blob: &str) -> String {
    format!("/api/v1/blobs/{blob}")
}

fn put(blob: &str, body: &[u8]) -> Request {
    Request::new("PUT", &path(blob)).body(body)
}

/// The bytes from `first` on, as the rest of a blob.
fn rest(blob: &str, whole: &[u8], first: usize) -> Request {
    let range = format!("bytes {first}-{}/{}", whole.len() - 1, whole.len());
    Request::new("PUT", &path(blob)).header("Content-Range", &range).body(&whole[first..])
}

fn head(to: SocketAddr, blob: &str) -> Answer {
    let mut wire = Wire::connect(to);
    wire.send(&Request::new("HEAD", &path(blob)).header("Connection", "close").bytes());
    wire.head()
}

/// How much of a blob is held that is not here.
#[track_caller]
fn held(to: SocketAddr, blob: &str) -> u64 {
    let answer = head(to, blob);
    assert_eq!(answer.status, 404, "{answer:?}");
    answer.header("upload-offset").unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap()
}

/// Begins to send a blob and is cut off; returns once `sent` bytes of it are held.
fn cut_off(to: SocketAddr, blob: &str, whole: &[u8], sent: usize) {
    let request = put(blob, whole).bytes();
    let mut wire = Wire::connect(to);
    wire.send(&request[..request.len() - (whole.len() - sent)]);
    drop(wire);
    eventually("what came is held", || (held(to, blob) == sent as u64).then_some(()));
}

fn staged(farm: &Farm) -> usize {
    files_below(&farm.folder.data().join("staged")).len()
}

#[test]
fn a_blob_that_was_sent_is_here_byte_for_byte() {
    let farm = Farm::start();
    for whole in [bytes(3_000_000), bytes(1), Vec::new()] {
        let blob = sha256(&whole);
        assert_eq!(held(farm.address, &blob), 0);
        let answer = put(&blob, &whole).send(farm.address);
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(put(&blob, &whole).send(farm.address).status, 200);
        let there = head(farm.address, &blob);
        let length = whole.len().to_string();
        assert_eq!((there.status, there.header("content-length")), (200, Some(length.as_str())), "{there:?}");
        let got = Request::get(&path(&blob)).send(farm.address);
        assert_eq!((got.status, got.header("content-length")), (200, Some(length.as_str())), "{got:?}");
        assert!(got.body == whole, "{} bytes came that are not the blob's", got.body.len());
    }
    assert_eq!(staged(&farm), 0);
}

#[test]
fn a_part_is_answered_where_a_part_is_asked_for() {
    let farm = Farm::start();
    let whole = bytes(2_500_000);
    let blob = sha256(&whole);
    put(&blob, &whole).send(farm.address);
    for path in [path(&blob), format!("/api/v1/agent/blobs/{blob}")] {
        let ranged = |range: &str| Request::get(&path).header("Range", range).send(farm.address);
        for (range, from, to) in
            [("bytes=0-0", 0, 1), ("bytes=1500000-", 1_500_000, 2_500_000), ("bytes=-1200000", 1_300_000, 2_500_000)]
        {
            let answer = ranged(range);
            assert_eq!(answer.status_line, "HTTP/1.1 206 Partial Content", "{range}");
            let said = format!("bytes {from}-{}/2500000", to - 1);
            assert_eq!(answer.header("content-range"), Some(said.as_str()));
            assert!(answer.body == whole[from..to], "{range}");
        }
        let beyond = ranged("bytes=2500000-");
        assert_eq!(beyond.status_line, "HTTP/1.1 416 Range Not Satisfiable");
        assert_eq!(beyond.header("content-range"), Some("bytes */2500000"));
        let several = ranged("bytes=0-1,5-6");
        assert_eq!((several.status, several.body.len()), (200, whole.len()));
        let tag = several.header("etag").unwrap().to_owned();
        assert_eq!(tag, format!("\"{blob}\""));
        let digest = several.header("repr-digest").unwrap();
        assert!(digest.starts_with("sha-256=:") && digest.ends_with("=:") && digest.len() == 54, "{digest}");
        let same = Request::get(&path).header("If-None-Match", &tag).send(farm.address);
        assert_eq!((same.status, same.body.as_slice()), (304, &b""[..]));
        let other = Request::get(&path).header("Range", "bytes=1-").header("If-Range", "\"x\"").send(farm.address);
        assert_eq!((other.status, other.body.len()), (200, whole.len()));
    }
    let nothing = "ab".repeat(32);
    Request::get(&path(&nothing)).send(farm.address).assert_problem(404, "urn:haywain:not-found");
    Request::get(&path("barn")).send(farm.address).assert_problem(400, "urn:haywain:invalid-input");
}

#[test]
fn an_upload_that_was_cut_off_is_gone_on_with() {
    let farm = Farm::start();
    let whole = bytes(10_000_000);
    let blob = sha256(&whole);
    cut_off(farm.address, &blob, &whole, 6_000_000);
    Request::get(&path(&blob)).send(farm.address).assert_problem(404, "urn:haywain:not-found");
    // Cut once more, at another place.
    let request = rest(&blob, &whole, 6_000_000).bytes();
    let mut wire = Wire::connect(farm.address);
    wire.send(&request[..request.len() - 1_000_000]);
    drop(wire);
    eventually("the second part is held", || (held(farm.address, &blob) == 9_000_000).then_some(()));
    let farm = Farm::on(farm.stop());
    assert_eq!(held(farm.address, &blob), 9_000_000, "a restart forgets nothing");
    let answer = rest(&blob, &whole, 9_000_000).send(farm.address);
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(Request::get(&path(&blob)).send(farm.address).body == whole);
    assert_eq!(staged(&farm), 0);
}

#[test]
fn an_upload_goes_on_only_where_it_ended() {
    let farm = Farm::start();
    let whole = bytes(4_000_000);
    let blob = sha256(&whole);
    for (held_bytes, wrong) in [(0, 1), (2_000_000, 0), (2_000_000, 1_999_999), (2_000_000, 2_000_001)] {
        if held_bytes > 0 {
            cut_off(farm.address, &blob, &whole, held_bytes);
        }
        let answer = rest(&blob, &whole, wrong).send(farm.address);
        answer.assert_problem(409, "urn:haywain:offset-mismatch");
        assert_eq!(answer.header("upload-offset"), Some(held_bytes.to_string().as_str()), "{wrong}");
    }
    assert_eq!(staged(&farm), 1, "of several that were cut off one is kept");
    assert_eq!(rest(&blob, &whole, 2_000_000).send(farm.address).status, 201);
}

#[test]
fn what_has_another_digest_is_dropped() {
    let farm = Farm::start();
    let whole = bytes(3_000_000);
    let blob = sha256(&whole);
    let mut spoilt = whole.clone();
    spoilt[10] ^= 1;
    put(&blob, &spoilt).send(farm.address).assert_problem(422, "urn:haywain:digest-mismatch");
    assert_eq!((held(farm.address, &blob), staged(&farm)), (0, 0));
    // Also when it was the held part that is wrong.
    cut_off(farm.address, &blob, &spoilt, 2_000_000);
    rest(&blob, &whole, 2_000_000).send(farm.address).assert_problem(422, "urn:haywain:digest-mismatch");
    assert_eq!((held(farm.address, &blob), staged(&farm)), (0, 0));
    assert_eq!(put(&blob, &whole).send(farm.address).status, 201);
}

#[test]
fn a_body_that_is_not_what_was_announced_is_refused() {
    let farm = Farm::start();
    let whole = bytes(1000);
    let blob = sha256(&whole);
    for range in ["bytes 0-998/1000", "bytes 1-999/1000", "bytes 0-999/*", "bytes */1000", "1000", "bytes 999-0/1000"] {
        let request = Request::new("PUT", &path(&blob)).header("Content-Range", range).body(&whole[..]);
        request.send(farm.address).assert_problem(400, "urn:haywain:invalid-input");
    }
    put("barn", &whole).send(farm.address).assert_problem(400, "urn:haywain:invalid-input");
    let huge =
        Request::new("PUT", &path(&blob)).header("Content-Length", "9999999999999").header("Expect", "100-continue");
    let mut wire = Wire::connect(farm.address);
    wire.send(&huge.bytes());
    wire.answer().assert_problem(413, "urn:haywain:too-large");
    assert_eq!((held(farm.address, &blob), staged(&farm)), (0, 0));
}

#[test]
fn of_two_that_send_the_same_the_first_to_end_brings_it() {
    let farm = Farm::start();
    let whole = bytes(8_000_000);
    let blob = sha256(&whole);
    let request = put(&blob, &whole).bytes();
    let half = request.len() - 4_000_000;
    let mut wires = [(); 2].map(|()| Wire::connect(farm.address));
    for wire in &mut wires {
        wire.send(&request[..half]);
    }
    eventually("both are under way", || (staged(&farm) == 2).then_some(()));
    let [mut slow, mut fast] = wires;
    fast.send(&request[half..]);
    assert_eq!(fast.answer().status, 201);
    slow.send(&request[half..]);
    assert_eq!(slow.answer().status, 200);
    assert!(Request::get(&path(&blob)).send(farm.address).body == whole);
    eventually("nothing is left of the second", || (staged(&farm) == 0).then_some(()));
}

#[test]
fn an_upload_whose_line_is_dead_is_taken_over() {
    let farm = Farm::start();
    let whole = bytes(4_000_000);
    let blob = sha256(&whole);
    let request = put(&blob, &whole).bytes();
    let mut dead = Wire::connect(farm.address);
    dead.send(&request[..request.len() - 1_000_000]);
    // The line stays open and says nothing: whoever asks is told what has come, after a moment.
    eventually("it is held", || (held(farm.address, &blob) == 3_000_000).then_some(()));
    assert_eq!(rest(&blob, &whole, 3_000_000).send(farm.address).status, 201);
    drop(dead);
}

#[test]
#[cfg(unix)]
fn a_kill_in_mid_upload_leaves_nothing_that_counts() {
    let folder = Folder::new();
    let start = || {
        let mut command = program(&folder);
        command.args(["--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"]).arg(folder.data());
        let program = Running::start(&mut command);
        let address: SocketAddr = program.logged("orchestrator ready")["listen"].as_str().unwrap().parse().unwrap();
        (program, address)
    };
    let whole = bytes(10_000_000);
    let blob = sha256(&whole);
    let manifest =
        json!({"entry": "a.blend", "files": [{"path": "a.blend", "sizeBytes": whole.len(), "sha256": blob}]});
    let (mut program, address) = start();
    let scene = Request::post("/api/v1/scenes", manifest.to_string()).send(address);
    assert_eq!(scene.status, 201, "{scene:?}");
    let request = put(&blob, &whole).bytes();
    let mut wire = Wire::connect(address);
    wire.send(&request[..request.len() - 4_000_000]);
    eventually("some of it is on disk", || {
        let files = files_below(&folder.data().join("staged"));
        files.iter().any(|file| file.metadata().is_ok_and(|file| file.len() > 3_000_000)).then_some(())
    });
    program.kill();
    assert_eq!(files_below(&folder.data().join("blobs")), Vec::<std::path::PathBuf>::new());

    let (_program, address) = start();
    let report = format!("/api/v1/scenes/{}", scene.json()["sceneId"].as_str().unwrap());
    let missing = || Request::get(&report).send(address).json()["missingBlobs"].clone();
    assert_eq!(missing(), json!([{"sha256": blob, "sizeBytes": whole.len()}]));
    let held_bytes = usize::try_from(held(address, &blob)).unwrap();
    assert!((3_000_000..=6_000_000).contains(&held_bytes), "{held_bytes}");
    assert_eq!(rest(&blob, &whole, held_bytes).send(address).status, 201);
    assert_eq!(missing(), json!([]));
    assert!(Request::get(&path(&blob)).send(address).body == whole);
}
