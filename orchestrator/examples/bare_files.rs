//! What files over HTTP cost with nothing around them: a bare handler that streams a body to a file, hashes it and syncs it,
//! and one that streams the file back. `cargo xtask bench blobs` holds the orchestrator against it.

use std::path::PathBuf;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use futures_util::StreamExt as _;
use haywain_shared::digest::Hasher;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

/// How much is written or read at once: enough for the file system's own journeys to cost little.
const PIECE_BYTES: usize = 1024 * 1024;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| anyhow::anyhow!("usage: bare_files FOLDER"))?;
    let router = Router::new().route("/files/{number}", put(receive).get(send)).with_state(folder);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

async fn receive(State(folder): State<PathBuf>, Path(number): Path<u32>, body: Body) -> Result<StatusCode, Failed> {
    // Each is kept, as the orchestrator keeps them: room that was used before is quicker to write to.
    let path = folder.join(format!("bare-{number}"));
    let file = tokio::fs::File::create(&path).await?;
    let mut writer = tokio::io::BufWriter::with_capacity(PIECE_BYTES, file);
    let mut hasher = Hasher::default();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(std::io::Error::other)?;
        hasher.update(&piece);
        writer.write_all(&piece).await?;
    }
    writer.flush().await?;
    writer.get_ref().sync_all().await?;
    std::hint::black_box(hasher.finish());
    Ok(StatusCode::CREATED)
}

async fn send(State(folder): State<PathBuf>, Path(number): Path<u32>) -> Result<Response, Failed> {
    let mut file = tokio::fs::File::open(folder.join(format!("bare-{number}"))).await?;
    file.set_max_buf_size(PIECE_BYTES);
    let length = file.metadata().await?.len();
    let body = Body::from_stream(ReaderStream::with_capacity(file, PIECE_BYTES));
    Ok(([(CONTENT_LENGTH, length)], body).into_response())
}

/// The disk could not do it.
struct Failed(std::io::Error);

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}
