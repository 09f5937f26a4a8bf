//! What a new machine fetches to become an agent: the script that its owner pastes a call of, and what that asks for.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use haywain_shared::problem::Problem;
use tokio_util::io::ReaderStream;

use super::App;
use super::problem::{Failed, Path};
use crate::installer::File;

/// What a proxy says of how it is reached. It matters to nobody but the caller, who may say what they like.
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-proto");
const SCRIPT: &str = "text/x-shellscript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const PROGRAM: &str = "application/octet-stream";

/// The script that installs an agent
///
/// It is to be run by a shell, as root, and knows the URL by which it was fetched. `haywain-orchestrator enrol` prints the line for that.
#[utoipa::path(get, path = "/install", tag = "agents", responses(
    (status = 200, description = "A script for sh", body = String, content_type = "text/x-shellscript"),
    (status = 400, description = "No host is called so", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn script(State(app): State<App>, headers: HeaderMap) -> Result<Response, Failed> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let script = app.installer.script(text(HOST).unwrap_or_default(), text(FORWARDED));
    let script =
        script.ok_or_else(|| Failed::invalid("no host is called so, as it says in the header Host".to_owned()))?;
    // It is another's as soon as somebody fetches it by another name.
    Ok(([(CONTENT_TYPE, SCRIPT), (CACHE_CONTROL, "no-store")], script).into_response())
}

/// What the script asks for
///
/// `haywain-agent-x86_64`, `haywain-agent-aarch64`: the agent's program for a processor, if it is there. `haywain-agent.service`: its unit for systemd.
#[utoipa::path(get, path = "/install/{file}", tag = "agents", params(("file" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The file", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 400, description = "That is no name", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "It is not here", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn file(State(app): State<App>, Path(file): Path<String>) -> Result<Response, Failed> {
    let not_here = || {
        let advice =
            "put the agent's program under this name beside the orchestrator's, or into the folder --agent-programs";
        Failed::not_found(format!("there is no {file} here: {advice}"))
    };
    match app.installer.file(&file) {
        Some(File::Text(text)) => Ok(([(CONTENT_TYPE, TEXT)], text).into_response()),
        Some(File::OneOf(places)) => {
            for place in places {
                match tokio::fs::File::open(&place).await {
                    Ok(program) => return sent(program).await.map_err(Failed::of_the_system),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(Failed::of_the_system(error)),
                }
            }
            Err(not_here())
        }
        None => Err(not_here()),
    }
}

async fn sent(program: tokio::fs::File) -> std::io::Result<Response> {
    let size_bytes = program.metadata().await?.len();
    let mut response = Response::new(Body::from_stream(ReaderStream::new(program)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROGRAM));
    headers.insert(CONTENT_LENGTH, size_bytes.into());
    Ok(response)
}
