//! How many frames an agent renders at once: found out while it works, fixed by its owner, or none while others use the machine.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use haywain_shared::job::JobState;
use serde_json::json;

use crate::apart::Apart;
use crate::blenders::{self, Kind};
use crate::farm::{Farm, wait};

#[test]
fn slots_open_and_close_without_a_lost_attempt_or_a_doubled_frame() {
    let farm = Farm::start(&blenders::scene("basic"));
    let mut agent = farm.agent_with("one", &blenders::path(Kind::Program), &[]);
    let path = farm.render(&json!({"from": 1, "to": 9000, "batchSize": 50}));
    wait("slots that open and close", || {
        (agent.logged("slot opened").len() >= 2 && !agent.logged("slot closed").is_empty()).then_some(())
    });
    assert_eq!(agent.terminate(), Some(0));
    let job = farm.job(&path);
    let rendered: Vec<_> = agent.logged("frame rendered").iter().map(|line| line["frame"].to_string()).collect();
    let mut frames = rendered.clone();
    frames.sort();
    frames.dedup();
    assert_eq!(frames.len(), rendered.len(), "a frame was rendered twice");
    assert_eq!((job.counts.done, job.counts.leased, job.counts.failed), (rendered.len() as u64, 0, 0));
    assert_eq!(job.failures, []);
    assert_eq!(farm.attempts(&path).iter().filter(|attempt| attempt.cause.is_some()).count(), 0);
}

#[test]
fn slots_that_the_owner_has_fixed_stay_as_they_are() {
    let farm = Farm::start(&blenders::scene("basic"));
    let flags = ["--slots", "2x1"];
    let mut agent = farm.agent_with("one", &blenders::path(Kind::Program), &flags);
    let path = farm.render(&json!({"from": 1, "to": 200}));
    assert_eq!(farm.wait_for_end(&path).state, JobState::Completed);
    assert_eq!(agent.wait_for_log("agent ready")["setting"], "2x1");
    assert_eq!((agent.logged("slot opened").len(), agent.logged("slot closed").len()), (2, 0));
    assert_eq!(agent.terminate(), Some(0));
}

#[test]
fn slots_that_take_more_than_the_owner_allows_are_refused_at_the_start() {
    let farm = Farm::start(&blenders::scene("basic"));
    let flags = ["--slots", "2x1", "--max-cpu", "1"];
    let mut agent = farm.agent_with("one", &blenders::path(Kind::Program), &flags);
    assert_eq!(agent.wait_for_exit(), Some(1));
    let log = std::fs::read_to_string(farm.folder().join("one.log")).unwrap();
    let why = "--slots 2x1 takes 2 render threads at least, and --max-cpu 1 allows 1 on this machine: want fewer";
    assert!(log.contains(why), "{log}");
}

/// What the agent says when it stands back, and when it goes on.
const STANDS_BACK: &str = "others use this machine: no new frames until they have stopped (--when-idle)";
const GOES_ON: &str = "this machine is idle: taking work";

#[test]
fn an_agent_for_idle_times_leaves_the_machine_to_others() {
    let Some(apart) = Apart::find("an agent that leaves the machine to others") else { return };
    let farm = Farm::start(&blenders::scene("half_a_second"));
    let processors = Processors::begin(&farm.folder().join("stat"));
    processors.are_used(true);
    let program = Path::new(env!("CARGO_BIN_EXE_haywain-agent"));
    let command = apart.command_with(program, &processors.file, Path::new("/proc/stat"));
    let agent = farm.agent_by(command, "desk", &blenders::path(Kind::Program), &["--when-idle"]);
    let path = farm.render(&json!({"from": 1, "to": 60, "batchSize": 30}));
    agent.wait_for_log(STANDS_BACK);
    assert_eq!(farm.job(&path).counts.pending, 60);

    processors.are_used(false);
    farm.wait_for(&path, "a frame", |job| job.counts.done >= 1);
    processors.are_used(true);
    let job = farm.wait_for(&path, "the end of the frame in work", |job| job.counts.leased == 0);
    assert_eq!(
        (job.counts.done, job.counts.pending),
        (agent.logged("frame rendered").len() as u64, 60 - job.counts.done)
    );
    assert!(job.counts.pending > 0, "it did not stop before the job was done");
    assert_eq!(agent.logged(STANDS_BACK).len(), 2);

    processors.are_used(false);
    let before = job.counts.done;
    farm.wait_for(&path, "another frame", |job| job.counts.done > before);
    assert_eq!((agent.logged(STANDS_BACK).len(), agent.logged(GOES_ON).len()), (2, 2));
    let attempts = farm.attempts(&path);
    assert!(attempts.iter().all(|attempt| attempt.cause.is_none()), "{attempts:?}");
    let frames: BTreeSet<_> = attempts.iter().map(|attempt| attempt.frame).collect();
    assert_eq!(frames.len(), attempts.len(), "none is rendered twice");
}

/// What the system says of the use of its processors, as a test wants it: other tests, too, use the real ones.
struct Processors {
    file: PathBuf,
    used: Arc<AtomicBool>,
    _ends: mpsc::Sender<()>,
}

/// More than any Blender here can make use of: what it uses is taken for others' no less.
const PROCESSORS: u64 = 64;
const EVERY: Duration = Duration::from_millis(100);
/// What a processor can be used in that time, in the kernel's unit.
const TICKS: u64 = 10;

impl Processors {
    fn begin(file: &Path) -> Self {
        let used = Arc::new(AtomicBool::new(false));
        let (ends, end) = mpsc::channel::<()>();
        let writer = (file.to_owned(), Arc::clone(&used));
        write_stat(file, [0, 0]);
        std::thread::spawn(move || {
            let (file, used) = writer;
            let mut ticks = [0, 0];
            while end.recv_timeout(EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                ticks[usize::from(!used.load(Ordering::Relaxed))] += TICKS;
                write_stat(&file, ticks);
            }
        });
        Self { file: file.to_owned(), used, _ends: ends }
    }

    fn are_used(&self, used: bool) {
        self.used.store(used, Ordering::Relaxed);
    }
}

/// Writes what the kernel would: of all processors, and of each. The file stays the same, and as long: it is being read.
fn write_stat(file: &Path, [user, idle]: [u64; 2]) {
    let line = |name: &str, times: u64| format!("{name} {:012} 0 0 {:012} 0 0 0 0 0 0\n", user * times, idle * times);
    let mut text = line("cpu ", PROCESSORS);
    text.extend((0..PROCESSORS).map(|number| line(&format!("cpu{number}"), 1)));
    let mut file = File::options().create(true).write(true).truncate(false).open(file).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
