//! `PUT` of a frame: what is recorded, what is refused, and that nothing refused leaves a file behind.

use serde_json::json;

use crate::agent::{Agent, Grant, PNG, Upload, assert_outcome, lease_id};
use crate::server::Farm;
use crate::wire::{Wire, eventually};

/// A farm with a job of forty frames, and a lease of its first five.
fn leased() -> (Farm, Agent, Grant) {
    let farm = Farm::start();
    farm.submit(&json!({"from": 1, "to": 40}));
    let agent = Agent::registered(&farm, "barn");
    let lease = agent.lease();
    assert_eq!((lease.from, lease.to), (1, 5));
    (farm, agent, lease)
}

#[test]
fn a_frame_is_recorded_once() {
    let (farm, agent, lease) = leased();
    assert_outcome(&agent.put(&lease, 1), "recorded");
    let files = farm.folder.frame_files();
    assert_eq!(files.len(), 1);
    assert_outcome(&agent.put(&lease, 1), "alreadyRecorded");
    assert_eq!((farm.counts(&lease.job), farm.folder.frame_files()), ([35, 4, 1, 0], files.clone()));
    assert_eq!(std::fs::read(&files[0]).unwrap(), PNG);
    let shares = farm.report(&lease.job)["agents"].clone();
    assert_eq!((&shares[0]["frames"], &shares[0]["renderMs"]), (&1.into(), &1500.into()), "counted once: {shares}");
}

#[test]
fn a_frame_may_have_many_files_and_folders() {
    let (farm, agent, lease) = leased();
    let large = [&PNG[..], &vec![7; 7_000_000]].concat();
    let upload = Upload::of(&lease).file("left/0001.png", &PNG).file("right/0001.png", &large);
    assert_outcome(&upload.put(agent.to, &lease.id, 2), "recorded");
    let mut sizes: Vec<_> =
        farm.folder.frame_files().iter().map(|file| std::fs::metadata(file).unwrap().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [75, 75, 7_000_075]);
    let folder = farm.folder.data().join("frames").join(&lease.job);
    assert_eq!(std::fs::read_dir(folder.join("left")).unwrap().count(), 1);
}

#[test]
fn what_is_wrong_with_an_upload_is_told_and_nothing_is_kept() {
    let (farm, agent, lease) = leased();
    let good = || Upload::of(&lease);
    let invalid = (400, "urn:haywain:invalid-input");
    let mismatch = (422, "urn:haywain:digest-mismatch");
    let no_image = (422, "urn:haywain:invalid-output");
    let mut fewer = good().file("0002.png", &PNG);
    fewer.files.pop();
    let mut more = good();
    more.files.push(PNG.to_vec());
    let mut none = good();
    none.meta["files"] = json!([]);
    let mut other_job = good();
    other_job.meta["jobId"] = farm.submit(&json!({"from": 1, "to": 5})).into();
    let mut no_meta = good();
    no_meta.meta = json!({});
    let cases = [
        ("another digest", good().saying("sha256", "ab".repeat(32)), mismatch),
        ("no digest", good().saying("sha256", "ab"), invalid),
        ("another size", good().saying("sizeBytes", 74), mismatch),
        ("the second file's digest", good().file("0002.png", &PNG).saying("sha256", "ab".repeat(32)), mismatch),
        ("another width", good().saying("width", 3), no_image),
        ("another height", good().saying("height", 1), no_image),
        ("a text", Upload { files: vec![], ..none.clone() }.file("0001.png", b"Traceback"), no_image),
        ("an empty file", Upload { files: vec![], ..none.clone() }.file("0001.png", b""), no_image),
        ("half a header", Upload { files: vec![], ..none.clone() }.file("0001.png", &PNG[..12]), no_image),
        ("a way out", good().saying("name", "../0001.png"), invalid),
        ("a way out behind a good file", good().file("a/../../../0001.png", &PNG), invalid),
        ("a root", good().saying("name", "/tmp/0001.png"), invalid),
        ("no name", good().saying("name", ""), invalid),
        ("fewer files than were said", fewer, invalid),
        ("more files than were said", more, invalid),
        ("no file", none, invalid),
        ("another job", other_job, invalid),
        ("no meta", no_meta, invalid),
    ];
    for (what, upload, (status, kind)) in cases {
        let answer = upload.put(agent.to, &lease.id, 1);
        assert_eq!((answer.status, answer.json()["type"].as_str()), (status, Some(kind)), "{what}: {answer:?}");
        answer.assert_problem(status, kind);
        eventually(what, || farm.folder.frame_files().is_empty().then_some(()));
    }
    assert_eq!(farm.counts(&lease.job), [35, 5, 0, 0]);
    assert_eq!(std::fs::read_dir(farm.folder.path()).unwrap().count(), 2, "a file got out");
    // After all that the frame itself is welcome.
    agent.deliver(&lease, 1);
}

#[test]
fn a_frame_outside_the_lease_is_refused() {
    let (farm, agent, lease) = leased();
    for frame in [0, 6, -1, 1_048_575] {
        agent.put(&lease, frame).assert_problem(400, "urn:haywain:invalid-input");
    }
    Upload::of(&lease).put(agent.to, &lease_id(), 1).assert_problem(404, "urn:haywain:unknown-lease");
    assert_eq!((farm.counts(&lease.job), farm.folder.frame_files().len()), ([35, 5, 0, 0], 0));
}

#[test]
fn an_upload_that_is_cut_off_leaves_no_file() {
    let (farm, agent, lease) = leased();
    let large = [&PNG[..], &vec![7; 1_000_000]].concat();
    let upload = Upload::of(&lease).file("0002.png", &PNG).file("0003.png", &large);
    let request = upload.request(&lease.id, 1).bytes();
    let files = || farm.folder.frame_files();
    // Cut in the third file, before the second one, and before the last bytes of the body.
    for (missing, begun) in [(500_000, 3), (1_000_300, 1), (10, 3)] {
        let mut wire = Wire::connect(farm.address);
        wire.send(&request[..request.len() - missing]);
        eventually("files are on their way", || (files().len() == begun).then_some(()));
        drop(wire);
        eventually("nothing is left of them", || files().is_empty().then_some(()));
    }
    assert_eq!(farm.counts(&lease.job), [35, 5, 0, 0]);
    assert_outcome(&upload.put(agent.to, &lease.id, 1), "recorded");
    assert_eq!(files().len(), 3);
}

#[test]
fn an_ended_lease_may_still_deliver_and_the_next_holder_comes_too_late() {
    let (farm, barn, lease) = leased();
    let mill = Agent::registered(&farm, "mill");
    barn.release(&lease, &[1, 2, 3, 4, 5]);
    let [one, two] = [mill.lease(), mill.lease()];
    assert_eq!((one.from, one.to, two.from, two.to), (1, 5, 6, 10));
    // It turns a frame that another holds into done ...
    assert_outcome(&barn.put(&lease, 1), "recorded");
    assert_eq!(mill.held(&one.id), json!([{"from": 2, "to": 5}]));
    assert_outcome(&mill.put(&one, 1), "superseded");
    assert_outcome(&barn.put(&lease, 1), "alreadyRecorded");
    // ... and one that is pending ...
    mill.release(&one, &[2, 3]);
    assert_outcome(&barn.put(&lease, 2), "recorded");
    assert_eq!(farm.report(&lease.job)["frames"]["pending"], json!([{"from": 3, "to": 3}, {"from": 11, "to": 40}]));
    // ... and the other way round.
    assert_outcome(&mill.put(&one, 4), "recorded");
    assert_outcome(&barn.put(&lease, 4), "superseded");
    assert_eq!((farm.counts(&lease.job), farm.folder.frame_files().len()), ([31, 6, 3, 0], 3));
    // A failure's late word changes nothing.
    barn.fail(&lease, 5, "crashed", "too late");
    assert_eq!(mill.held(&one.id), json!([{"from": 5, "to": 5}]));
}

#[test]
fn what_is_recorded_already_is_not_looked_at_again() {
    let (farm, barn, lease) = leased();
    barn.deliver(&lease, 1);
    // "Send it again" would be the wrong answer: there is nothing left to do, whatever has become of the files.
    for upload in [
        Upload::of(&lease).saying("sha256", "ab".repeat(32)),
        Upload::of(&lease).saying("width", 3),
        Upload::of(&lease).saying("name", "other.png"),
    ] {
        assert_outcome(&upload.put(barn.to, &lease.id, 1), "alreadyRecorded");
    }
    barn.release(&lease, &[2]);
    let mill = Agent::registered(&farm, "mill");
    let again = mill.lease();
    barn.deliver(&lease, 2);
    let spoilt = Upload::of(&again).saying("sha256", "ab".repeat(32));
    assert_outcome(&spoilt.put(mill.to, &again.id, 2), "superseded");
    assert_eq!(farm.folder.frame_files().len(), 2);
}

#[test]
fn two_deliveries_at_once_are_one_recorded_frame() {
    let (farm, agent, lease) = leased();
    for frame in 1..=5 {
        let mut outcomes: Vec<String> = std::thread::scope(|scope| {
            let puts = [(); 3].map(|()| scope.spawn(|| agent.put(&lease, frame)));
            puts.into_iter().map(|put| put.join().unwrap().json()["outcome"].as_str().unwrap().to_owned()).collect()
        });
        outcomes.sort_unstable();
        assert_eq!(outcomes, ["alreadyRecorded", "alreadyRecorded", "recorded"]);
    }
    assert_eq!(farm.counts(&lease.job), [35, 0, 5, 0]);
    eventually("only what was recorded stays", || (farm.folder.frame_files().len() == 5).then_some(()));
    assert_eq!(farm.report(&lease.job)["agents"][0]["frames"], 5);
}

#[test]
fn a_frame_that_was_given_up_is_done_when_it_comes_after_all() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 1}));
    let leases = agent.give_up();
    assert_eq!((farm.status(&job).status, farm.counts(&job)), (500, [0, 0, 0, 1]));
    assert_outcome(&agent.put(&leases[0], 1), "recorded");
    farm.status(&job).assert_plain("HTTP/1.1 200 OK", "Job completed");
    assert_eq!((farm.counts(&job), &farm.report(&job)["failures"]), ([0, 0, 1, 0], &json!([])));
}
