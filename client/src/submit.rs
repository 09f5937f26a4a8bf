//! `haywain submit`: from a file to a job. What could fail without the farm (a bad file, a missing one, no frames) fails
//! before a byte is sent; whatever was sent is not sent again when the command is repeated.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use haywain_shared::client::CallError;
use haywain_shared::ids::JobId;
use haywain_shared::limits::MAX_NAME_BYTES;
use haywain_shared::scene::{BlobRef, Manifest, SceneFile, SceneId};
use serde_json::{Map, Value, json};

use crate::blend::{self, Timeline};
use crate::blender::{self, Asked, Choice, Links};
use crate::cache::Hashes;
use crate::cli::SubmitArgs;
use crate::context::Context;
use crate::download::check_folder;
use crate::exit::{Exit, Failure, Outcome};
use crate::hashing::{self, HashError};
use crate::perseverance::{Gain, LIMIT, LIMIT_IN_WORDS, NoAnswer, until_answered};
use crate::scene::{self, Assembly, MissingPath};
use crate::show::{Bytes, Form, Show, Spinner, bytes, say, short};
use crate::upload::{self, Watcher};
use crate::watch::{Reached, watch};

/// What Ctrl-C before the job is there comes to.
const STOPPED: &str = "stopped before the job was submitted; submitting again goes on where this stopped";

/// Runs the command.
pub async fn run(context: &Context, args: &SubmitArgs) -> Outcome {
    if let Some(out) = &args.out {
        // Before anything is sent: who cannot have the frames may not want the job.
        check_folder(out).map_err(|error| Failure::error(error.to_string()))?;
    }
    let source = match (&args.scene, &args.file) {
        (Some(scene), _) => Source { scene: *scene, sent: None },
        (None, Some(file)) => from_file(context, args, file).await?,
        (None, None) => return Err(Failure::error("name a .blend, or a scene with --scene")),
    };
    let timeline = source.sent.as_ref().and_then(|sent| sent.timeline);
    let body = render_body(args, source.scene, timeline)?;
    let job = submit(context, &body).await?;
    tell(context, args, &source, job)?;
    if args.watch || args.out.is_some() {
        return watch(context, job, args.out.as_deref(), Reached::Before).await;
    }
    Ok(Exit::Done)
}

/// What the job renders.
struct Source {
    scene: SceneId,
    /// What was done for it, unless it was there before.
    sent: Option<SentScene>,
}

struct SentScene {
    timeline: Option<Timeline>,
    files: usize,
    size_bytes: u64,
    sent_bytes: u64,
}

async fn from_file(context: &Context, args: &SubmitArgs, file: &Path) -> Outcome<Source> {
    scene::check_entry(file)?;
    // Before minutes go into reading files: is there somebody to send them to?
    context.unless_stopped(STOPPED, context.api.jobs(None, None, 1)).await?;
    let links = ask_blender(context, args, file).await?;
    let timeline = if args.frames.is_empty() && args.from.is_none() {
        Some(own_timeline(context, file, links.as_ref()).await?)
    } else {
        None
    };
    let assembly = assemble(context, args, file, links).await?;
    for note in &assembly.notes {
        context.show.note(note);
    }
    check_missing(args, &assembly.missing, context)?;
    let (manifest, files) = manifest_of(context, &assembly).await?;
    let report = context.unless_stopped(STOPPED, context.api.register_scene(&manifest)).await?;
    let mut missing = BTreeMap::new();
    for blob in &report.missing_blobs {
        let path = files.get(blob).ok_or_else(|| {
            Failure::error(format!("the orchestrator asks for the blob {}, which the scene does not have", blob.sha256))
        })?;
        missing.insert(*blob, path.clone());
    }
    let sent_bytes = send(context, &missing).await?;
    let sent = SentScene { timeline, files: manifest.files.len(), size_bytes: manifest.size_bytes(), sent_bytes };
    Ok(Source { scene: report.scene_id, sent: Some(sent) })
}

async fn ask_blender(context: &Context, args: &SubmitArgs, file: &Path) -> Outcome<Option<Links>> {
    let choice = match (args.no_blender, args.blender.first()) {
        (true, _) => Choice::Nobody,
        (false, Some(path)) => Choice::Named(path.clone()),
        (false, None) => Choice::Anybody,
    };
    let entry = std::path::absolute(file).map_err(|error| Failure::error(format!("{}: {error}", file.display())))?;
    let asked = {
        let _spinner = Spinner::start(context.show, "asking Blender what the scene links");
        let ask = async { blender::ask(&choice, &entry).await.map_err(|error| Failure::error(error.to_string())) };
        context.unless_stopped(STOPPED, ask).await?
    };
    let named_by_hand = args.folder.is_some() || !args.include.is_empty();
    match asked {
        Asked::Answered(links) => Ok(Some(links)),
        Asked::Nobody => {
            if !named_by_hand {
                let why = if args.no_blender { "no Blender was asked" } else { "there is no Blender on this machine" };
                context.show.note(&format!(
                    "{why} what the scene links: the .blend alone is sent; name its files with --folder or --include, or a \
                     Blender with --blender"
                ));
            }
            Ok(None)
        }
        Asked::Unable(reasons) if named_by_hand => {
            context
                .show
                .note(&format!("what the scene links could not be found out, only what was named is sent:\n{reasons}"));
            Ok(None)
        }
        Asked::Unable(reasons) => Err(Failure::refused(format!(
            "what the scene links could not be found out:\n{reasons}\n\
             Name a Blender that can open it with --blender, or name its files with --folder or --include; --no-blender sends \
             the .blend alone"
        ))),
    }
}

async fn own_timeline(context: &Context, file: &Path, links: Option<&Links>) -> Outcome<Timeline> {
    if let Some(timeline) = links.and_then(Links::timeline) {
        return Ok(timeline);
    }
    let path = file.to_owned();
    let read = context.on_a_thread(move || blend::timeline(&path)).await?;
    read.map_err(|error| {
        let name = file.display();
        Failure::refused(format!("the frames of {name} can't be read ({error}): say which to render, with -f 1-250"))
    })
}

async fn assemble(context: &Context, args: &SubmitArgs, file: &Path, links: Option<Links>) -> Outcome<Assembly> {
    let request = scene::Request {
        entry: file.to_owned(),
        folder: args.folder.clone(),
        include: args.include.clone(),
        mappings: args.map.clone(),
        links: links.map(|links| links.references),
    };
    Ok(context.on_a_thread(move || scene::assemble(&request)).await??)
}

fn check_missing(args: &SubmitArgs, missing: &[MissingPath], context: &Context) -> Outcome<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = missing.iter().map(|missing| format!("  {} ({})", missing.path, missing.about)).collect();
    let list = list.join("\n");
    if args.allow_missing {
        context.show.note(&format!("submitted without these files, which are not here:\n{list}"));
        return Ok(());
    }
    Err(Failure::refused(format!(
        "the scene needs files that are not here:\n{list}\n\
         Say where they are with --map 'THERE=HERE', or submit without them with --allow-missing"
    )))
}

/// The manifest, and by which file each blob can be sent.
async fn manifest_of(context: &Context, assembly: &Assembly) -> Outcome<(Manifest, BTreeMap<BlobRef, PathBuf>)> {
    let mut paths: Vec<PathBuf> = assembly.files.values().cloned().collect();
    paths.sort();
    paths.dedup();
    let total = paths.iter().filter_map(|path| std::fs::metadata(path).ok()).map(|metadata| metadata.len()).sum();
    let bar = Bytes::start(context.show, "reading", total);
    let stop = context.stop.clone();
    let hashed = context
        .on_a_thread(move || hashing::blobs_of(&paths, &mut Hashes::open(), &|bytes| bar.add(bytes), &stop))
        .await?;
    let blobs = hashed.map_err(|error| match error {
        HashError::Stopped => Failure::interrupted(STOPPED),
        HashError::Unreadable { .. } | HashError::Changed(_) => Failure::error(error.to_string()),
    })?;
    let mut files = Vec::new();
    let mut sources = BTreeMap::new();
    for (path, source) in &assembly.files {
        let blob = blobs[source];
        files.push(SceneFile { path: path.clone(), size_bytes: blob.size_bytes, sha256: blob.sha256 });
        sources.insert(blob, source.clone());
    }
    let missing = assembly.missing.iter().map(|missing| missing.path.clone()).collect();
    let manifest =
        Manifest { entry: assembly.entry.clone(), files, places: assembly.places.clone(), color_config: None, missing };
    manifest.check().map_err(|fault| Failure::refused(fault.to_string()))?;
    Ok((manifest, sources))
}

/// Sends blobs; how many bytes that were.
async fn send(context: &Context, missing: &BTreeMap<BlobRef, PathBuf>) -> Outcome<u64> {
    if missing.is_empty() {
        return Ok(0);
    }
    let total = missing.keys().map(|blob| blob.size_bytes).sum();
    let bar = Bytes::start(context.show, "sending", total);
    let shown = Shown { bar, show: context.show, is_told: AtomicBool::new(false) };
    context.unless_stopped(STOPPED, upload::send_all(&context.api, missing, &shown)).await?;
    Ok(total)
}

/// Shows an upload, and its first interruption also to who reads it later.
struct Shown {
    bar: Bytes,
    show: Show,
    is_told: AtomicBool,
}

impl Watcher for Shown {
    fn moved(&self, bytes: u64) {
        self.bar.go_on();
        self.bar.add(bytes);
    }

    fn lost(&self, bytes: u64) {
        self.bar.take_back(bytes);
    }

    fn trying_again(&self, error: &CallError) {
        self.bar.say("interrupted, trying again");
        if !self.is_told.swap(true, Ordering::Relaxed) {
            let words = format!(
                "{error}\nTrying again, until nothing more has arrived for {LIMIT_IN_WORDS}: what has arrived is not sent again",
            );
            self.bar.aside(|| self.show.note(&words));
        }
    }
}

/// The body of `POST /render`.
fn render_body(args: &SubmitArgs, scene: SceneId, own: Option<Timeline>) -> Outcome<Value> {
    let mut body = Map::new();
    body.insert("scene".to_owned(), json!(scene));
    let mut step = args.step;
    match (args.from, args.to, own) {
        (Some(from), Some(to), _) => {
            body.insert("from".to_owned(), json!(from));
            body.insert("to".to_owned(), json!(to));
        }
        _ if !args.frames.is_empty() => {
            let texts: Vec<_> = args.frames.iter().map(|frames| frames.text.as_str()).collect();
            body.insert("frames".to_owned(), texts.join(",").into());
        }
        (_, _, Some(own)) => {
            own.frames()
                .map_err(|error| Failure::refused(format!("the scene's own frames: {error}; say others with -f")))?;
            body.insert("from".to_owned(), json!(own.start));
            body.insert("to".to_owned(), json!(own.end));
            step = step.or(Some(own.step).filter(|step| *step > 1));
        }
        (_, _, None) => return Err(Failure::error("say which frames to render, with -f 1-250")),
    }
    let members = [
        ("step", step.map(Value::from)),
        ("name", name_of(args).map(Value::from)),
        ("priority", args.priority.map(Value::from)),
        ("batchSize", args.batch_size.map(Value::from)),
        ("maxAttempts", args.max_attempts.map(Value::from)),
        ("frameTimeout", args.frame_timeout.map(Value::from)),
        ("stallTimeout", args.stall_timeout.map(Value::from)),
        ("allowMissing", args.allow_missing.then_some(Value::Bool(true))),
    ];
    body.extend(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Ok(Value::Object(body))
}

/// The name that was given, or the file's, if a job can have it.
fn name_of(args: &SubmitArgs) -> Option<String> {
    let own = || args.file.as_ref()?.file_stem()?.to_str().map(str::to_owned);
    let fits = |name: &String| !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.chars().any(char::is_control);
    args.name.clone().or_else(|| own().filter(fits))
}

/// Submits the job once, however often it must be said.
async fn submit(context: &Context, body: &Value) -> Outcome<JobId> {
    let (key, said) = (JobId::generate().to_string(), AtomicBool::new(false));
    let failed = |error: &CallError| {
        if !said.swap(true, Ordering::Relaxed) {
            context.show.note(&format!("{error}\nTrying again: it will be one job"));
        }
    };
    let gain = Gain::default();
    let submitting = async {
        until_answered(LIMIT, &gain, failed, || context.api.render(body, &key)).await.map_err(|no_answer| {
            match no_answer {
                NoAnswer::Refused(error) => error.into(),
                NoAnswer::InVain(error) => Failure {
                    exit: Exit::Unreachable,
                    message: format!(
                        "given up, as the orchestrator has not taken the job for {LIMIT_IN_WORDS}: {error}\n\
                     When it is back, `haywain jobs` shows whether it has the job; if not, the same command submits it",
                    ),
                },
            }
        })
    };
    context
        .unless_stopped("stopped while the job was being submitted: `haywain jobs` shows whether it was", submitting)
        .await
}

fn tell(context: &Context, args: &SubmitArgs, source: &Source, job: JobId) -> Outcome<()> {
    let sent = source.sent.as_ref();
    match context.show.form {
        Form::Json => {
            let mut line = json!({
                "jobId": job, "status": format!("/status/{job}"), "sceneId": source.scene,
                "files": sent.map(|sent| sent.files), "sizeBytes": sent.map(|sent| sent.size_bytes),
                "sentBytes": sent.map(|sent| sent.sent_bytes),
            });
            if args.watch || args.out.is_some() {
                line["event"] = "submitted".into();
            }
            say(&line.to_string())
        }
        Form::Text => {
            if let Some(sent) = sent {
                let (files, size) = (sent.files, bytes(sent.size_bytes));
                let plural = if files == 1 { "" } else { "s" };
                context.show.note(&match sent.sent_bytes {
                    0 => format!("{files} file{plural}, {size}: the orchestrator had all of it"),
                    sent => format!("{files} file{plural}, {size}: {} sent", bytes(sent)),
                });
            }
            if !args.watch && args.out.is_none() {
                context.show.note(&format!("submitted; watch it with: haywain watch {}", short(&job)));
            }
            say(&job.to_string())
        }
    }
}
