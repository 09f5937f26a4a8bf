//! `POST /render`: a job goes in.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use haywain_shared::blender_version::VersionRequirement;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::JobId;
use haywain_shared::options::{FrameOrder, ImageFormat, ImageKind};
use haywain_shared::problem::{Problem, ProblemKind};
use haywain_shared::requirements::{AgentRule, TagRule};
use haywain_shared::scene::SceneId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{self, Unread};
use super::{App, reply};
use crate::access::Caller;
use crate::queue::submission::{self, Submission};
use crate::scenes::saved_by;
use crate::store::{Idempotency, NewJob, Sight, StoreError};

/// The largest body.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The header by which a client names a submission that it may repeat.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest key.
const MAX_KEY_BYTES: usize = 255;

/// The answer to a job that was accepted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    /// The job.
    job_id: JobId,
}

/// What can be asked for.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "it describes what `queue::submission` and `queue::options` read")]
struct RenderRequest {
    /// The first frame; with `to`, or else `frames`.
    from: Option<FrameNumber>,
    /// The last frame.
    to: Option<FrameNumber>,
    /// A list of frames and ranges, in place of `from` and `to`: each range may have a step of its own.
    #[schema(example = "300,310-320x2,-10..-1")]
    frames: Option<String>,
    /// Every how many frames of a range one is rendered.
    #[schema(minimum = 1, maximum = 1_000_000, default = 1)]
    step: Option<u32>,
    /// The scene; the orchestrator's own unless one is named.
    scene: Option<SceneId>,
    /// The most frames in a batch.
    #[schema(minimum = 1, maximum = 1000, default = 5)]
    batch_size: Option<u32>,
    /// What people call the job.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Jobs of a higher one are served first.
    #[schema(minimum = -1000, maximum = 1000, default = 0)]
    priority: Option<i32>,
    /// Failed attempts after which a frame is given up.
    #[schema(minimum = 1, maximum = 100, default = 3)]
    max_attempts: Option<u32>,
    /// How many seconds one frame may take; no limit unless one is set.
    #[schema(minimum = 1, maximum = 2_592_000)]
    frame_timeout: Option<u64>,
    /// How many seconds Blender may do nothing at a frame (no progress, no output, no processor time); 0 means for ever.
    #[schema(minimum = 0, maximum = 2_592_000, default = 600)]
    stall_timeout: Option<u64>,
    /// The scene in the .blend (Blender's datablock of that name) that is rendered.
    #[schema(min_length = 1, max_length = 255)]
    scene_name: Option<String>,
    /// The only view layer that is rendered.
    #[schema(min_length = 1, max_length = 255)]
    view_layer: Option<String>,
    /// The camera of every frame, in place of the scene's and of those that its markers name.
    #[schema(min_length = 1, max_length = 255)]
    camera: Option<String>,
    /// The render engine: `CYCLES`, `EEVEE`, `WORKBENCH`, or what Blender calls an add-on's.
    #[schema(min_length = 1, max_length = 255)]
    engine: Option<String>,
    /// Samples for each pixel.
    #[schema(minimum = 1, maximum = 16_777_216)]
    samples: Option<u32>,
    /// What it is rendered with: `cpu`, `gpu`, `cuda`, `optix`, `hip`, `metal`, `oneapi`, `any`, or `software`; what the scene says
    /// unless set. A scene set to GPU is rendered by processors only with `cpu` or `any`, and what a GPU would draw is drawn by a
    /// program (llvmpipe) only with `software`.
    #[schema(example = "gpu")]
    device: Option<String>,
    /// The size of the picture in percent of the scene's resolution.
    #[schema(minimum = 1, maximum = 1000)]
    resolution_percent: Option<u32>,
    /// The format of the picture.
    format: Option<FormatRequest>,
    /// Whether the engine keeps its data from one frame to the next.
    persistent_data: Option<bool>,
    /// Whether Python that comes with the scene may run, on agents whose owner allows it: registered texts, handlers, drivers.
    #[schema(default = false)]
    scripts: Option<bool>,
    /// Add-ons to enable, by the names of their modules: only agents that have them get frames.
    #[schema(max_items = 32)]
    addons: Option<Vec<String>>,
    /// Whether the frames may be rendered in any order by many agents, or one after the other by one, which steps through every
    /// frame from the start of the scene's simulations.
    #[schema(inline)]
    order: Option<FrameOrder>,
    /// The versions of Blender that may render it; unless set, the one that saved the file, or a newer one.
    #[schema(example = ">=4.2, <5")]
    blender: Option<VersionRequirement>,
    /// Whether frames may come from several versions of Blender; otherwise that of the first lease renders all of them.
    #[schema(default = false)]
    mixed: Option<bool>,
    /// The memory that a machine must have free.
    #[schema(example = "16GiB")]
    memory: Option<String>,
    /// Which tags an agent must have, and must not have; a list alone is `allOf`.
    tags: Option<TagRule>,
    /// Which agents may render it, and may not, by name or id; a list alone is `only`.
    agents: Option<AgentRule>,
    /// Whether to render also when the scene wants files that are not there.
    #[schema(default = false)]
    allow_missing: Option<bool>,
    /// Whether to render also when drivers need Python, which may not run.
    #[schema(default = false)]
    allow_broken_drivers: Option<bool>,
    /// Whether to render also when simulations are not baked: each frame comes as if it had been jumped to.
    #[schema(default = false)]
    allow_unbaked: Option<bool>,
    /// Whether to render also when the agent's Blender does not know nodes or colour settings of the scene.
    #[schema(default = false)]
    allow_unknown: Option<bool>,
}

/// A format by its name (`EXR` and `MULTILAYER_EXR` will do, too), or as an object that says more of it.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what `queue::options` reads")]
enum FormatRequest {
    /// By its name: what else there is to choose stays as the file has it.
    Name(ImageKind),
    /// With its colour depth or its codec.
    Whole(ImageFormat),
}

/// Submits a job
#[utoipa::path(post, path = "/render", tag = "jobs", request_body = RenderRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeating a submission with its key is the same job")),
    responses(
    (status = 202, description = "Accepted", body = Accepted,
        headers(("Location" = String, description = "Where its status is"))),
    (status = 400, description = "Invalid input, in words",
        content((Problem = "application/problem+json"), (String = "text/html"))),
    (status = 413, description = "The body is too large",
        content((Problem = "application/problem+json"), (String = "text/html"))),
    (status = 422, description = "The key was used for another submission",
        content((Problem = "application/problem+json"), (String = "text/html"))),
))]
pub(super) async fn submit(State(app): State<App>, caller: Caller, headers: HeaderMap, request_body: Body) -> Response {
    let read = match body::read(request_body, MAX_BODY_BYTES).await {
        Ok(read) => read,
        Err(Unread::TooLarge) => {
            let text = format!("Invalid input: the body is larger than {MAX_BODY_BYTES} bytes");
            return reply::error(&headers, ProblemKind::TooLarge, StatusCode::PAYLOAD_TOO_LARGE, &text);
        }
        Err(Unread::Broken(error)) => {
            return invalid(&headers, &format!("Invalid input: the body broke off ({error})"));
        }
    };
    let submission = match submission::read(&read, app.max_frames) {
        Ok(submission) => submission,
        Err(error) => return invalid(&headers, &error.to_string()),
    };
    let Some(scene) = submission.scene.or(app.default_scene) else {
        return invalid(
            &headers,
            "Invalid input: there is no default scene here, and the job names none: \
             name one with \"scene\", or start the orchestrator with --scene FILE",
        );
    };
    let idempotency = match idempotency(&headers, &read) {
        Ok(idempotency) => idempotency,
        Err(text) => return invalid(&headers, &text),
    };
    let Submission { frames, batch_size, name, scene: _, priority, limits, options, requirements } = submission;
    let count = frames.len();
    let id = JobId::generate();
    // The orchestrator's own scene is for all to render.
    let sight = if app.default_scene == Some(scene) { Sight::All } else { caller.sight() };
    let owner = caller.owner();
    let job = NewJob {
        id,
        owner,
        sight,
        name,
        scene,
        frames,
        batch_size,
        options,
        requirements,
        priority,
        limits,
        idempotency,
    };
    if let Err(error) = saved_by::learn(scene, &app.blobs, &*app.store).await {
        return reply::failed(&headers, error.into());
    }
    match app.store.submit(job).await {
        Ok(job_id) => {
            tracing::info!(job = %job_id, frames = count, token = owner.map(tracing::field::display), "job accepted");
            accepted(job_id)
        }
        Err(StoreError::UnknownScene(scene)) => {
            invalid(&headers, &format!("Invalid input: scene {scene} is not on this orchestrator"))
        }
        Err(
            error @ (StoreError::SceneIncomplete { .. }
            | StoreError::SceneLacksFiles { .. }
            | StoreError::WouldRenderWrong { .. }),
        ) => invalid(&headers, &format!("Invalid input: {error}")),
        Err(error) => reply::failed(&headers, error.into()),
    }
}

/// What the client calls its submission, if it may repeat it: the `Idempotency-Key` header, as the IETF's draft of that name
/// has it.
fn idempotency(headers: &HeaderMap, body: &[u8]) -> Result<Option<Idempotency>, String> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len())).ok_or_else(|| {
        format!("Invalid input: the Idempotency-Key must have from 1 to {MAX_KEY_BYTES} printable ASCII characters")
    })?;
    Ok(Some(Idempotency { key: key.to_owned(), body: Sha256Digest::of(body) }))
}

fn invalid(headers: &HeaderMap, text: &str) -> Response {
    reply::error(headers, ProblemKind::InvalidInput, StatusCode::BAD_REQUEST, text)
}

fn accepted(job_id: JobId) -> Response {
    let mut response = reply::json(StatusCode::ACCEPTED, &Accepted { job_id });
    if let Ok(location) = HeaderValue::try_from(format!("/status/{job_id}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use utoipa::PartialSchema as _;

    use super::*;

    #[test]
    fn what_is_described_is_what_is_read() {
        let schema = serde_json::to_value(RenderRequest::schema()).unwrap();
        let described: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(described, submission::members().into_iter().collect());
    }
}
