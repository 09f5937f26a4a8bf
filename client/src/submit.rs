//! `haywain submit`: from a file to a job.

use std::sync::atomic::{AtomicBool, Ordering};

use haywain_shared::client::CallError;
use haywain_shared::ids::JobId;
use haywain_shared::limits::MAX_NAME_BYTES;
use haywain_shared::scene::SceneId;
use serde_json::{Map, Value, json};

use crate::blend::Timeline;
use crate::cli::SubmitArgs;
use crate::context::Context;
use crate::download::check_folder;
use crate::exit::{Exit, Failure, Outcome};
use crate::perseverance::{Gain, LIMIT, LIMIT_IN_WORDS, NoAnswer, until_answered};
use crate::sending::{self, Frames, Missing, Order, SentScene};
use crate::show::{Form, bytes, say, short};
use crate::watch::{Reached, watch};

/// What Ctrl-C before the job is there comes to.
const STOPPED: &str = "stopped before the job was submitted; submitting again goes on where this stopped";

/// Runs the command.
pub async fn run(context: &Context, args: &SubmitArgs) -> Outcome {
    if let Some(out) = &args.out {
        // Before anything is sent: who cannot have the frames may not want the job.
        check_folder(out).map_err(|error| Failure::error(error.to_string()))?;
    }
    args.picture.image_format().map_err(|fault| Failure::refused(fault.to_string()))?;
    let source = match (&args.scene, &args.file) {
        (Some(scene), _) => Source { scene: *scene, sent: None },
        (None, Some(file)) => {
            let own = args.frames.is_empty() && args.from.is_none();
            let order = Order {
                file,
                files: &args.files,
                frames: if own { Frames::TheScenesOwn } else { Frames::Given },
                missing: if args.picture.allow_missing { Missing::Named } else { Missing::Refused },
                stopped: STOPPED,
            };
            let sent = sending::send_scene(context, &order).await?;
            Source { scene: sent.scene, sent: Some(sent) }
        }
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
    ];
    let picture = args.picture.members().map_err(|fault| Failure::refused(fault.to_string()))?;
    let members = members
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .chain(picture)
        .chain(args.machines.members());
    body.extend(members.map(|(name, value)| (name.to_owned(), value)));
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
