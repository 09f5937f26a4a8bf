//! What comes out: frames in the order that they were recorded in, their files whole and in ranges, thumbnails, archives, and
//! the folder that people read.

use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::agent::{Agent, Grant, PNG, Upload, assert_outcome};
use crate::server::{Farm, sha256};
use crate::wire::Request;

/// A farm with a job of which some frames are delivered, in this order.
fn rendered(frames: &[i64]) -> (Farm, Agent, Grant) {
    let farm = Farm::start();
    farm.submit(&json!({"from": 1, "to": 40, "name": "Shot 12"}));
    let agent = Agent::registered(&farm, "barn");
    let lease = agent.lease();
    for frame in frames {
        agent.deliver(&lease, *frame);
    }
    (farm, agent, lease)
}

fn path(job: &str, rest: &str) -> String {
    format!("/api/v1/jobs/{job}/{rest}")
}

#[test]
fn frames_come_in_the_order_of_their_recording_and_go_on_from_a_cursor() {
    let (farm, agent, lease) = rendered(&[3, 1]);
    let page = |query: &str| {
        let page = Request::get(&path(&lease.job, &format!("frames{query}"))).send(farm.address).json();
        let frames: Vec<_> =
            page["frames"].as_array().unwrap().iter().map(|it| it["frame"].as_i64().unwrap()).collect();
        (frames, page["cursor"].as_u64().unwrap())
    };
    assert_eq!(page(""), (vec![3, 1], 2));
    assert_eq!(page("?limit=1"), (vec![3], 1));
    assert_eq!(page("?since=1"), (vec![1], 2));
    assert_eq!(page("?since=2"), (vec![], 2));
    agent.deliver(&lease, 2);
    assert_eq!(page("?since=2"), (vec![2], 3));
    let one = Request::get(&path(&lease.job, "frames/2")).send(farm.address).json();
    assert_eq!((&one["frame"], &one["place"], &one["files"][0]["name"]), (&2.into(), &3.into(), &"0002.png".into()));
    Request::get(&path(&lease.job, "frames/5")).send(farm.address).assert_problem(404, "urn:haywain:not-found");
    let nobody = Request::get(&path("00000000-0000-7000-8000-000000000000", "frames/5")).send(farm.address);
    nobody.assert_problem(404, "urn:haywain:not-found");
}

#[test]
fn a_file_is_served_whole_and_in_ranges_with_its_digests() {
    let (farm, _agent, lease) = rendered(&[1]);
    let get = |rest: &str| Request::get(&path(&lease.job, rest));
    let digest = "sha-256=:".to_owned() + &base64(&sha256(&PNG)) + ":";
    for rest in ["frames/1/files/0001.png", "frames/1/image"] {
        let whole = get(rest).send(farm.address);
        assert_eq!((whole.status, &whole.body[..]), (200, &PNG[..]), "{rest}");
        assert_eq!(whole.header("content-type"), Some("image/png"));
        assert_eq!(whole.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(whole.header("content-digest"), Some(&*digest));
        assert_eq!(whole.header("repr-digest"), Some(&*digest));
        let tag = whole.header("etag").unwrap().to_owned();
        assert_eq!(tag, format!("\"{}\"", sha256(&PNG)));

        let part = get(rest).header("Range", "bytes=10-19").header("If-Range", &tag).send(farm.address);
        assert_eq!((part.status, &part.body[..]), (206, &PNG[10..20]));
        assert_eq!(part.header("content-range"), Some("bytes 10-19/75"));
        assert_eq!((part.header("content-digest"), part.header("repr-digest")), (None, Some(&*digest)));
        let rest_of_it = get(rest).header("Range", "bytes=70-").send(farm.address);
        assert_eq!((rest_of_it.status, &rest_of_it.body[..]), (206, &PNG[70..]));
        let known = get(rest).header("If-None-Match", &tag).send(farm.address);
        assert_eq!((known.status, known.body.len()), (304, 0));
        let beyond = get(rest).header("Range", "bytes=75-").send(farm.address);
        assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */75")));
    }
    get("frames/1/files/0002.png").send(farm.address).assert_problem(404, "urn:haywain:not-found");
    get("frames/1/files/..%2F0001.png").send(farm.address).assert_problem(400, "urn:haywain:invalid-input");
}

#[test]
fn a_thumbnail_comes_with_its_frame() {
    let (farm, agent, lease) = rendered(&[1]);
    let jpeg = b"\xff\xd8\xff a small picture".to_vec();
    let with_thumbnail = |said: &Value| {
        let mut upload = Upload::of(&lease).saying("name", "0002.png");
        upload.meta["thumbnail"] = said.clone();
        upload.files.push(jpeg.clone());
        upload
    };
    let truth = json!({"sizeBytes": jpeg.len(), "sha256": sha256(&jpeg)});
    let other = json!({"sizeBytes": jpeg.len(), "sha256": sha256(b"another")});
    let large = json!({"sizeBytes": 2_000_000, "sha256": sha256(&jpeg)});
    with_thumbnail(&other).put(agent.to, &lease.id, 2).assert_problem(422, "urn:haywain:digest-mismatch");
    with_thumbnail(&large).put(agent.to, &lease.id, 2).assert_problem(400, "urn:haywain:invalid-input");
    assert_eq!(farm.folder.frame_files().len(), 1);
    assert_outcome(&with_thumbnail(&truth).put(agent.to, &lease.id, 2), "recorded");
    let thumbnail =
        |frame: i64| Request::get(&path(&lease.job, &format!("frames/{frame}/thumbnail"))).send(farm.address);
    let answer = thumbnail(2);
    assert_eq!((answer.status, answer.header("content-type"), &answer.body), (200, Some("image/jpeg"), &jpeg));
    thumbnail(1).assert_problem(404, "urn:haywain:not-found");
    let page = Request::get(&path(&lease.job, "frames")).send(farm.address).json();
    assert_eq!((&page["frames"][0]["hasThumbnail"], &page["frames"][1]["hasThumbnail"]), (&false.into(), &true.into()));
}

#[test]
fn a_file_that_is_not_recorded_leaves_another_frame_s_file_of_its_name_in_the_folder() {
    let (farm, agent, lease) = rendered(&[]);
    let matte = |content: &[u8]| Upload::none_of(&lease).file("matte.png", &[&PNG[..], content].concat());
    let folder = farm.report(&lease.job)["outputFolder"].as_str().unwrap().to_owned();
    let shown = || std::fs::read(Path::new(&folder).join("matte.png")).unwrap()[PNG.len()..].to_vec();
    assert_outcome(&matte(b"of frame 1").put(agent.to, &lease.id, 1), "recorded");
    assert_eq!(shown(), b"of frame 1");

    let refusal = "CREATE TRIGGER refusal BEFORE INSERT ON frames BEGIN SELECT RAISE(ABORT, 'not now'); END";
    farm.change_the_queue(refusal);
    assert_eq!(matte(b"of frame 2").put(agent.to, &lease.id, 2).status, 503);
    assert_eq!(shown(), b"of frame 1");
    assert_eq!(farm.folder.frame_files().len(), 1);
    farm.change_the_queue("DROP TRIGGER refusal");
    assert_outcome(&matte(b"of frame 2").put(agent.to, &lease.id, 2), "recorded");
    assert_eq!(shown(), b"of frame 2");
}

#[test]
fn an_archive_holds_what_is_recorded_and_says_where_the_next_begins() {
    let (farm, agent, lease) = rendered(&[2, 1]);
    let large = [&PNG[..], &vec![7; 3_000_000]].concat();
    let upload = Upload::of(&lease).saying("name", "Ärger/0003.png").file("masks/0003.png", &large);
    assert_outcome(&upload.put(agent.to, &lease.id, 3), "recorded");
    // Another frame's file of a name that is taken.
    assert_outcome(&Upload::of(&lease).saying("name", "0001.PNG").put(agent.to, &lease.id, 4), "recorded");
    let archive = |query: &str| Request::get(&path(&lease.job, &format!("frames.zip{query}"))).send(farm.address);
    let answer = archive("");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/zip")));
    assert_eq!(answer.header("haywain-cursor"), Some("4"));
    assert!(
        answer.header("content-disposition").unwrap().contains("Shot%2012-"),
        "{:?}",
        answer.header("content-disposition")
    );
    let names = ["0002.png", "0001.png", "Ärger/0003.png", "masks/0003.png", "0001.frame4.PNG"];
    let contents = unzip(&answer.body);
    assert_eq!(contents.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
    assert_eq!((&contents[0].1[..], &contents[3].1), (&PNG[..], &large));
    assert_eq!(unzip(&archive("?since=3").body).len(), 1);
    assert_eq!(unzip(&archive("?since=4").body).len(), 0);
    let nobody = Request::get(&path("00000000-0000-7000-8000-000000000000", "frames.zip")).send(farm.address);
    nobody.assert_problem(404, "urn:haywain:not-found");
}

#[test]
fn the_folder_is_named_after_the_job_and_holds_the_artist_s_names() {
    let (farm, agent, lease) = rendered(&[1]);
    let folder = farm.report(&lease.job)["outputFolder"].as_str().unwrap().to_owned();
    assert!(folder.ends_with(&format!("frames/Shot 12-{}", lease.job)), "{folder}");
    let file = Path::new(&folder).join("0001.png");
    assert_eq!(std::fs::read(&file).unwrap(), PNG);
    // Rendered anew: the folder has the old picture until there is a new one.
    let again = json!({"frames": [{"from": 1, "to": 1}]}).to_string();
    let request = Request::post(&path(&lease.job, "rerender"), again).header("Content-Type", "application/json");
    assert_eq!(request.send(farm.address).status, 200);
    assert_eq!(std::fs::read(&file).unwrap(), PNG);
    agent.complete(&lease);
    let next = agent.lease();
    let mut upload = Upload::of(&next).saying("name", "0001.png").file("more.png", &PNG);
    upload.meta["generation"] = 2.into();
    assert_outcome(&upload.put(agent.to, &next.id, 1), "recorded");
    assert!(Path::new(&folder).join("more.png").exists());
}

fn unzip(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).unwrap();
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            (file.name().unwrap().into_owned(), content)
        })
        .collect()
}

fn base64(hex: &str) -> String {
    use base64::Engine as _;
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
