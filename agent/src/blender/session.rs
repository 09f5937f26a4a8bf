//! A session: one warm Blender process, with one scene open at a time. Whatever the process does (die, hang, print, stay
//! silent) ends in an answer with a cause; when the value is gone, so is the process with all its children.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use haywain_shared::cause::Cause;
use haywain_shared::frames::FrameNumber;
use haywain_shared::inspection::Inspection;
use haywain_shared::options::RenderOptions;
use haywain_shared::protocol::InspectionWish;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tokio_util::task::TaskTracker;

use super::death::{End, KernelHas, cause_of_death};
use super::launch::{Started, Surroundings, spawn};
use super::log::{LogTail, LogView};
pub use super::patience::Patience;
use super::protocol::{Command, DRIVER, DeviceOrder, Event, PROTOCOL, RenderedFile};
use super::signs::{CpuUse, Heard, Waiting, listen};
use super::{Blender, SceneFolder};
use crate::machine::{self, Activity, WaitsFor, activity};
use crate::memory::look::{forget_peak, kernel_kills};

/// How long a process may take to die after it has been killed, or to say why it died.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How often a process that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The longest that the driver may say at once: what is in a large scene, with room to spare. A script can write there, too.
const MAX_EVENT_BYTES: usize = 32 * 1024 * 1024;
/// How much is shown of what nobody understands.
const SHOWN_CHARS: usize = 200;

/// How one frame is rendered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// What to render it with; `None` leaves it to the engine.
    pub device: Option<DeviceOrder>,
    /// Threads to use; `None` leaves it to Blender.
    pub threads: Option<u32>,
    /// How long it may take; `None` means as long as it takes.
    pub frame_timeout: Option<Duration>,
    /// How long Blender may do nothing: no progress, no output, no processor time. `None` means for ever.
    pub stall_timeout: Option<Duration>,
}

/// Why a command brought no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}: {message}")]
pub struct Failure {
    /// The cause.
    pub cause: Cause,
    /// In words.
    pub message: String,
    /// The most memory that Blender has had, where known.
    pub peak_memory_bytes: Option<u64>,
}

impl Failure {
    /// A failure of which nothing more is known.
    #[must_use]
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), peak_memory_bytes: None }
    }
}

/// How a scene is opened.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// What the job asks.
    pub options: &'a RenderOptions,
    /// Whether to say what is in it.
    pub inspection: InspectionWish,
}

/// What is known of a scene once it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Its render engine.
    pub engine: String,
    /// The device that it wants, where the engine lets it choose: `CPU` or `GPU`.
    pub device: Option<String>,
    /// The formats of its images, in Blender's words.
    pub formats: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// A frame as Blender left it: nobody has looked at the files yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Its files.
    pub files: Vec<RenderedFile>,
    /// How long it took.
    pub render_ms: u64,
    /// The most memory that the process has had.
    pub peak_memory_bytes: Option<u64>,
}

/// One warm Blender.
pub struct Session {
    child: Started,
    /// Blender itself, once it has said which process that is. What was started may be a script that has started it.
    blender: Option<u32>,
    /// `None` once the process is known to be dead or has been given up.
    line: Option<DriverLine>,
    heard: Arc<Mutex<Heard>>,
    /// Reads the log; ends with it.
    listener: JoinHandle<()>,
    patience: Patience,
    /// Where add-ons lie.
    addons: Option<PathBuf>,
    /// What is in the scene that was opened last, until somebody takes it.
    inspection: Option<Box<Inspection>>,
    /// How often the kernel had killed for want of memory when the last command was given.
    kernel_kills: u64,
    /// Whether a scene was to be opened in it before.
    had_scene: bool,
}

/// Both ends of the conversation with the driver.
struct DriverLine {
    commands: ChildStdin,
    events: FramedRead<ChildStdout, LinesCodec>,
}

impl Session {
    /// Starts Blender with the driver, in a group of its own, and waits until the driver speaks. The log is read by one of
    /// `tasks`.
    pub async fn start(
        blender: &Blender,
        surroundings: Surroundings<'_>,
        patience: Patience,
        tasks: &TaskTracker,
    ) -> Result<Self, Failure> {
        let mut child = spawn(blender, surroundings, DRIVER[0].0)
            .map_err(|error| Failure::new(Cause::Crashed, format!("{blender} could not be started: {error}")))?;
        let (Some(commands), Some(events), Some(log)) =
            (child.stdin().take(), child.stdout().take(), child.stderr().take())
        else {
            return Err(Failure::new(Cause::Crashed, format!("{blender} has no pipes")));
        };
        let addons = surroundings.addons.map(Path::to_owned);
        let heard = Arc::new(Mutex::new(Heard::new()));
        let listener = tasks.spawn(listen(log, Arc::clone(&heard)));
        let line =
            DriverLine { commands, events: FramedRead::new(events, LinesCodec::new_with_max_length(MAX_EVENT_BYTES)) };
        let line = Some(line);
        let kernel_kills = kernel_kills();
        let mut session = Self {
            child,
            blender: None,
            line,
            heard,
            listener,
            patience,
            addons,
            inspection: None,
            kernel_kills,
            had_scene: false,
        };
        let ready = tokio::time::timeout(patience.start, session.await_ready(blender)).await;
        ready.unwrap_or_else(|_| {
            let message = format!("{blender} did not get ready within {} s", patience.start.as_secs());
            Err(session.give_up(Failure::new(Cause::Stalled, message)))
        })?;
        tracing::info!(%blender, process = session.blender(), "Blender started");
        Ok(session)
    }

    async fn await_ready(&mut self, asked: &Blender) -> Result<(), Failure> {
        loop {
            let Some(Ok(line)) = self.read_line().await else { return Err(self.bury().await) };
            match serde_json::from_str(&line) {
                Ok(Event::Ready { protocol: PROTOCOL, blender, pid }) => {
                    self.blender = Some(pid);
                    return asked.check_version(&blender).map_err(|failure| self.give_up(failure));
                }
                Ok(Event::Ready { protocol, .. }) => {
                    let message = format!("the driver speaks version {protocol} of the protocol, not {PROTOCOL}");
                    return Err(self.give_up(Failure::new(Cause::Crashed, message)));
                }
                // Blender 3.4 prints a line of its own before the driver can keep it from doing so.
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Opens a scene, in place of the one before.
    pub async fn open(&mut self, scene: &SceneFolder, opening: Opening<'_>) -> Result<Opened, Failure> {
        let SceneFolder { root, entry, places, color_config: _ } = scene;
        self.blender().into_iter().for_each(forget_peak);
        let Opening { options, inspection } = opening;
        let addons_folder = self.addons.take();
        let said =
            Command::Open { path: entry, root, places, options, inspection, addons_folder: addons_folder.as_deref() };
        let said = self.say(&said).await;
        self.addons = addons_folder;
        said?;
        self.inspection = None;
        let limit = self.patience.open_in_all;
        let opened = tokio::time::timeout(limit, self.await_opened(options)).await;
        if std::mem::replace(&mut self.had_scene, true) {
            // While one is loaded in place of another both are there.
            self.blender().into_iter().for_each(forget_peak);
        }
        opened.unwrap_or_else(|_| {
            let message = format!("the scene was not open after {} s: has it Python without an end?", limit.as_secs());
            Err(self.give_up(Failure::new(Cause::TimedOut, message)))
        })
    }

    async fn await_opened(&mut self, options: &RenderOptions) -> Result<Opened, Failure> {
        let waiting = Waiting { until: None, stall: Some(self.patience.open) };
        loop {
            match self.next_event(waiting, &mut |_| {}).await? {
                Event::Inspected { inspection } => self.inspection = Some(inspection),
                Event::Opened { engine, device, formats, mut notes, faults } => {
                    if let Some(fault) = faults.iter().find(|fault| !fault.kind.is_allowed_by(options)) {
                        return Err(Failure::new(fault.cause, fault.message.clone()));
                    }
                    notes.extend(faults.into_iter().map(|fault| format!("allowed: {}", fault.message)));
                    return Ok(Opened { engine, device, formats, notes });
                }
                Event::Failed { cause, message, peak_memory_bytes } => {
                    return Err(Failure { cause, message, peak_memory_bytes });
                }
                other => return Err(self.confused(&other)),
            }
        }
    }

    /// What is in the scene that was opened last, even in vain, if that was asked for. It is told once.
    pub const fn take_inspection(&mut self) -> Option<Box<Inspection>> {
        self.inspection.take()
    }

    /// Renders a frame of the open scene into `directory`, which is empty. `progress` hears how far it is: 0 to 1.
    pub async fn render(
        &mut self,
        frame: FrameNumber,
        directory: &Path,
        terms: Terms,
        mut progress: impl FnMut(f32) + Send,
    ) -> Result<Rendered, Failure> {
        self.heard().begin_frame();
        let (threads, device) = (terms.threads.unwrap_or(0), terms.device.as_ref());
        self.say(&Command::Render { frame, directory, threads, device }).await?;
        let until = terms.frame_timeout.map(|limit| (Instant::now() + limit, limit));
        let waiting = Waiting { until, stall: terms.stall_timeout };
        loop {
            match self.next_event(waiting, &mut progress).await? {
                Event::Stats { text } => self.heard().note_progress(&text),
                Event::Rendered { frame: rendered, files, render_ms, peak_memory_bytes } if rendered == frame => {
                    return Ok(Rendered { files, render_ms, peak_memory_bytes });
                }
                Event::Failed { cause, message, peak_memory_bytes } => {
                    return Err(Failure { cause, message, peak_memory_bytes });
                }
                other => return Err(self.confused(&other)),
            }
        }
    }

    /// Whether the process can take another command.
    #[must_use]
    pub const fn is_alive(&self) -> bool {
        self.line.is_some()
    }

    /// The process that leads its group.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.blender().and_then(machine::group_of)
    }

    fn blender(&self) -> Option<u32> {
        self.blender.filter(|_| self.child.is_there())
    }

    /// The log, for others to read while Blender writes it.
    #[must_use]
    pub fn log(&self) -> LogView {
        LogView(Arc::clone(&self.heard))
    }

    /// What Blender has printed so far is none of what comes now: the log begins here.
    pub fn begin_log(&mut self) {
        self.heard().tail = LogTail::default();
    }

    /// The end of what Blender has printed since the log began.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.heard().tail.text()
    }

    /// Ends the process, kindly if it listens, and waits until it is gone.
    pub async fn end(mut self) {
        // If the driver can't be told, it is killed below.
        let _ = self.say(&Command::Quit).await;
        self.line = None;
        if tokio::time::timeout(LAST_WORDS, self.child.wait()).await.is_err() {
            self.kill();
        }
    }

    async fn say(&mut self, command: &Command<'_>) -> Result<(), Failure> {
        self.heard().last_sign = Instant::now();
        self.kernel_kills = kernel_kills();
        let mut line = serde_json::to_vec(command)
            .map_err(|error| Failure::new(Cause::BadScene, format!("a path that is no text: {error}")))?;
        line.push(b'\n');
        let Some(DriverLine { commands, .. }) = &mut self.line else { return Err(self.died(None)) };
        match commands.write_all(&line).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.bury().await),
        }
    }

    /// The driver's next word. Until it comes, `progress` hears what the log tells. A process that dies or stalls
    /// meanwhile is given up.
    async fn next_event(&mut self, waiting: Waiting, progress: &mut (dyn FnMut(f32) + Send)) -> Result<Event, Failure> {
        let mut cpu = CpuUse::new(self.activity());
        loop {
            match tokio::time::timeout(LOOK_EVERY, self.read_line()).await {
                Ok(Some(Err(error))) => {
                    let message = format!("the driver's words could not be read: {error}");
                    return Err(self.give_up(Failure::new(Cause::Crashed, message)));
                }
                Ok(Some(Ok(line))) => {
                    return serde_json::from_str(&line).map_err(|error| {
                        let start: String = line.chars().take(SHOWN_CHARS).collect();
                        let message = format!("the driver said what nobody understands: {start:?} ({error})");
                        self.give_up(Failure::new(Cause::Crashed, message))
                    });
                }
                Ok(None) => return Err(self.bury().await),
                Err(_) => {
                    self.heard().fraction.into_iter().for_each(&mut *progress);
                    let activity = self.activity();
                    let over = waiting.over(&mut self.heard(), &mut cpu, activity);
                    if let Some(failure) = over {
                        return Err(self.give_up(failure));
                    }
                }
            }
        }
    }

    fn activity(&self) -> Activity {
        let gone = Activity { cpu_time_ms: 0, waits_for: WaitsFor::Anything };
        self.blender().and_then(activity).unwrap_or(gone)
    }

    /// The next line of the driver's; `None` at the end. Nothing is lost when it is dropped while it waits.
    async fn read_line(&mut self) -> Option<Result<String, LinesCodecError>> {
        let line = self.line.as_mut()?.events.next().await?;
        self.heard().last_sign = Instant::now();
        Some(line)
    }

    fn confused(&mut self, event: &Event) -> Failure {
        self.give_up(Failure::new(Cause::Crashed, format!("the driver said {event:?}, which answers nothing")))
    }

    /// The process is gone, or has closed its line: waits for its last words.
    async fn bury(&mut self) -> Failure {
        self.line = None;
        let status = tokio::time::timeout(LAST_WORDS, self.child.wait()).await;
        self.kill();
        // What it printed last may still be in the pipe. If its end does not come, somebody else holds it open.
        let _ = tokio::time::timeout(LAST_WORDS, &mut self.listener).await;
        self.died(status.ok().and_then(Result::ok))
    }

    fn died(&self, status: Option<ExitStatus>) -> Failure {
        let how = status.map_or_else(|| "without a status".to_owned(), |status| format!("with {status}"));
        let tail = self.log_tail();
        let last = tail.lines().rev().find(|line| !line.trim().is_empty());
        let last = last.map_or_else(String::new, |line| format!("; its last words: {}", line.trim()));
        let kernel = if kernel_kills() > self.kernel_kills { KernelHas::Killed } else { KernelHas::KilledNobody };
        let cause = cause_of_death(status.map(End::of), kernel, &tail);
        let why = if cause == Cause::OutOfMemory { ": memory ran out" } else { "" };
        Failure::new(cause, format!("Blender ended {how}{why}{last}"))
    }

    fn give_up(&mut self, failure: Failure) -> Failure {
        self.line = None;
        self.kill();
        failure
    }

    fn kill(&mut self) {
        // An error says that there is nothing left to kill.
        let _ = self.child.start_kill();
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
