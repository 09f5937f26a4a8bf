//! `haywain inspect`: what is in a scene, and what speaks against rendering it, before a night is spent on it. An agent opens
//! the scene; no job is made.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use haywain_shared::client::CallError;
use haywain_shared::inspection::InspectionStanding;
use haywain_shared::scene::SceneId;
use serde_json::json;

use crate::cli::InspectArgs;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::perseverance::{Gain, LIMIT, LIMIT_IN_WORDS, NoAnswer, until_answered};
use crate::sending::{self, Frames, Missing, Order};
use crate::show::{Spinner, inspected, objections};

/// What Ctrl-C comes to.
const STOPPED: &str =
    "stopped before it was known what is in the scene; inspecting it again goes on where this stopped";
/// The time from one question to the next.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Runs the command.
pub async fn run(context: &Context, args: &InspectArgs) -> Outcome {
    let scene = match args.scene.to_str().and_then(|text| text.parse().ok()) {
        Some(id) if !args.scene.exists() => id,
        _ => {
            let (frames, missing) = (Frames::Given, Missing::Named);
            let order = Order { file: &args.scene, files: &args.files, frames, missing, stopped: STOPPED };
            sending::send_scene(context, &order).await?.scene
        }
    };
    let standing = context.unless_stopped(STOPPED, known(context, scene)).await?;
    let inspection = match &standing {
        InspectionStanding::Known { inspection } => inspection,
        InspectionStanding::Failed { agent, failure } => {
            let words = format!("agent {agent} could not look at the scene: {}: {}", failure.cause, failure.message);
            context.show.result(&json!({ "sceneId": scene, "inspection": null, "failure": failure }), || words)?;
            // Another agent may fare better, unless it is the scene's own fault.
            return Ok(if failure.cause.is_the_scenes_fault() { Exit::Objections } else { Exit::Error });
        }
        InspectionStanding::Asked { .. } => {
            return Err(Failure::error("the orchestrator has not said what is in the scene"));
        }
    };
    let report = context.unless_stopped(STOPPED, context.api.scene(scene)).await?;
    let against = objections(inspection, &report.manifest.missing);
    let document = json!({ "sceneId": scene, "inspection": inspection, "objections": against });
    context.show.result(&document, || inspected(&report, inspection, &against, context.show.style))?;
    Ok(if against.is_empty() { Exit::Done } else { Exit::Objections })
}

/// Asks until somebody can say.
async fn known(context: &Context, scene: SceneId) -> Outcome<InspectionStanding> {
    let spinner = Spinner::start(context.show, "asking an agent what is in the scene");
    let (gain, told_of_error, mut told_of_nobody) = (Gain::default(), AtomicBool::new(false), false);
    let failed = |error: &CallError| {
        if !told_of_error.swap(true, Ordering::Relaxed) {
            spinner.aside(|| context.show.note(&format!("{error}\nTrying again")));
        }
    };
    loop {
        let standing = until_answered(LIMIT, &gain, failed, || context.api.inspection(scene)).await;
        let standing = standing.map_err(|no_answer| match no_answer {
            NoAnswer::Refused(error) => error.into(),
            NoAnswer::InVain(error) => Failure {
                exit: Exit::Unreachable,
                message: format!("given up, as the orchestrator has not answered for {LIMIT_IN_WORDS}: {error}"),
            },
        })?;
        match &standing {
            InspectionStanding::Asked { agents_online: 0, .. } => {
                let words = "no agent is online: waiting for one (haywain-agent starts one)";
                spinner.say(words.to_owned());
                if !std::mem::replace(&mut told_of_nobody, true) {
                    spinner.aside(|| context.show.note(words));
                }
            }
            InspectionStanding::Asked { agent: Some(agent), .. } => spinner.say(format!("{agent} looks at the scene")),
            InspectionStanding::Asked { agent: None, .. } => spinner.say("waiting for a free agent".to_owned()),
            InspectionStanding::Known { .. } | InspectionStanding::Failed { .. } => return Ok(standing),
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
