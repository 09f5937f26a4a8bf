//! From a file to a scene that the orchestrator has. What could fail without the farm (a bad file, a missing one) fails before
//! a byte is sent; whatever was sent is not sent again when the command is repeated.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use haywain_shared::client::CallError;
use haywain_shared::scene::{BlobRef, Manifest, SceneFile, SceneId};

use crate::blend::{self, Timeline};
use crate::blender::{self, Asked, Choice, Links};
use crate::cache::Hashes;
use crate::cli::FileArgs;
use crate::context::Context;
use crate::exit::{Failure, Outcome};
use crate::hashing::{self, HashError};
use crate::perseverance::LIMIT_IN_WORDS;
use crate::scene::{self, Assembly, MissingPath};
use crate::show::{Bytes, Show, Spinner};
use crate::upload::{self, Watcher};

/// What is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The .blend.
    pub file: &'a Path,
    /// What belongs to it.
    pub files: &'a FileArgs,
    /// Whether its own frames are asked for.
    pub frames: Frames,
    /// What is done about files that are not here.
    pub missing: Missing,
    /// What Ctrl-C meanwhile comes to, in words.
    pub stopped: &'a str,
}

/// Which frames somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frames {
    /// They have been given.
    Given,
    /// The scene's own.
    TheScenesOwn,
}

/// What is done about files that are not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Without them nothing is sent.
    Refused,
    /// The scene says that it lacks them.
    Named,
}

/// A scene that the orchestrator has.
#[derive(Debug)]
pub struct SentScene {
    /// It.
    pub scene: SceneId,
    /// Its own frames, if they were asked for.
    pub timeline: Option<Timeline>,
    /// How many files it has.
    pub files: usize,
    /// Their size, all together.
    pub size_bytes: u64,
    /// How much of that was not there before.
    pub sent_bytes: u64,
}

/// Sends a scene.
pub async fn send_scene(context: &Context, order: &Order<'_>) -> Outcome<SentScene> {
    let Order { file, files, stopped, .. } = *order;
    scene::check_entry(file)?;
    // Before minutes go into reading files: is there somebody to send them to?
    context.unless_stopped(stopped, context.api.jobs(None, None, 1)).await?;
    let links = ask_blender(context, order).await?;
    let timeline = match order.frames {
        Frames::TheScenesOwn => Some(own_timeline(context, file, links.as_ref()).await?),
        Frames::Given => None,
    };
    let assembly = assemble(context, files, file, links).await?;
    for note in &assembly.notes {
        context.show.note(note);
    }
    check_missing(order.missing, &assembly.missing, context)?;
    let (manifest, sources) = manifest_of(context, &assembly, stopped).await?;
    let report = context.unless_stopped(stopped, context.api.register_scene(&manifest)).await?;
    let mut missing = BTreeMap::new();
    for blob in &report.missing_blobs {
        let path = sources.get(blob).ok_or_else(|| {
            Failure::error(format!("the orchestrator asks for the blob {}, which the scene does not have", blob.sha256))
        })?;
        missing.insert(*blob, path.clone());
    }
    let sent_bytes = send(context, &missing, stopped).await?;
    let (files, size_bytes) = (manifest.files.len(), manifest.size_bytes());
    Ok(SentScene { scene: report.scene_id, timeline, files, size_bytes, sent_bytes })
}

async fn ask_blender(context: &Context, order: &Order<'_>) -> Outcome<Option<Links>> {
    let Order { file, files, stopped, .. } = *order;
    let choice = match (files.no_blender, files.blender.first()) {
        (true, _) => Choice::Nobody,
        (false, Some(path)) => Choice::Named(path.clone()),
        (false, None) => Choice::Anybody,
    };
    let entry = std::path::absolute(file).map_err(|error| Failure::error(format!("{}: {error}", file.display())))?;
    let asked = {
        let _spinner = Spinner::start(context.show, "asking Blender what the scene links");
        let ask = async { blender::ask(&choice, &entry).await.map_err(|error| Failure::error(error.to_string())) };
        context.unless_stopped(stopped, ask).await?
    };
    let named_by_hand = files.folder.is_some() || !files.include.is_empty();
    match asked {
        Asked::Answered(links) => Ok(Some(links)),
        Asked::Nobody => {
            if !named_by_hand {
                let why = if files.no_blender { "no Blender was asked" } else { "there is no Blender on this machine" };
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

async fn assemble(context: &Context, files: &FileArgs, file: &Path, links: Option<Links>) -> Outcome<Assembly> {
    let request = scene::Request {
        entry: file.to_owned(),
        folder: files.folder.clone(),
        include: files.include.clone(),
        mappings: files.map.clone(),
        color_config: files.color_config.clone(),
        links: links.map(|links| links.references),
    };
    Ok(context.on_a_thread(move || scene::assemble(&request)).await??)
}

fn check_missing(rule: Missing, missing: &[MissingPath], context: &Context) -> Outcome<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = missing.iter().map(|missing| format!("  {} ({})", missing.path, missing.about)).collect();
    let list = list.join("\n");
    if rule == Missing::Named {
        context.show.note(&format!("sent without these files, which are not here:\n{list}"));
        return Ok(());
    }
    Err(Failure::refused(format!(
        "the scene needs files that are not here:\n{list}\n\
         Say where they are with --map 'THERE=HERE', or submit without them with --allow-missing"
    )))
}

/// The manifest, and by which file each blob can be sent.
async fn manifest_of(
    context: &Context,
    assembly: &Assembly,
    stopped: &str,
) -> Outcome<(Manifest, BTreeMap<BlobRef, PathBuf>)> {
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
        HashError::Stopped => Failure::interrupted(stopped),
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
    let manifest = Manifest {
        entry: assembly.entry.clone(),
        files,
        places: assembly.places.clone(),
        color_config: assembly.color_config.clone(),
        missing,
    };
    manifest.check().map_err(|fault| Failure::refused(fault.to_string()))?;
    Ok((manifest, sources))
}

/// Sends blobs; how many bytes that were.
async fn send(context: &Context, missing: &BTreeMap<BlobRef, PathBuf>, stopped: &str) -> Outcome<u64> {
    if missing.is_empty() {
        return Ok(0);
    }
    let total = missing.keys().map(|blob| blob.size_bytes).sum();
    let bar = Bytes::start(context.show, "sending", total);
    let shown = Shown { bar, show: context.show, is_told: AtomicBool::new(false) };
    context.unless_stopped(stopped, upload::send_all(&context.api, missing, &shown)).await?;
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
