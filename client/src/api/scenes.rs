//! Scenes and blobs: a manifest is registered, then what is missing of it is sent, each blob whole or from where the last
//! try broke off.

use std::time::Duration;

use haywain_shared::client::CallError;
use haywain_shared::inspection::InspectionStanding;
use haywain_shared::scene::{BlobRef, Manifest, SceneId, ScenePage, SceneReport, SceneSummary};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap};
use reqwest::{Method, StatusCode};

use super::{Api, CALL_TIMEOUT};

/// How long a large manifest may take.
const REGISTER_TIMEOUT: Duration = Duration::from_mins(5);
/// The header that says how much of a blob is held.
const UPLOAD_OFFSET: &str = "upload-offset";

/// How much of a blob the orchestrator has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobStanding {
    /// All of it.
    Stored,
    /// So many bytes from its start.
    Held(u64),
}

/// What became of bytes that were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The blob is there.
    Stored,
    /// Something else is held than this piece began after: so many bytes.
    Elsewhere(u64),
}

/// A blob, from some byte on to its end.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    /// The blob.
    pub blob: BlobRef,
    /// The first byte that is sent.
    pub from: u64,
}

impl Api {
    /// Registers a scene; the answer names the blobs that are missing.
    pub async fn register_scene(&self, manifest: &Manifest) -> Result<SceneReport, CallError> {
        let call = "register the scene";
        let request =
            self.request(&self.http.calls, Method::POST, "/api/v1/scenes").timeout(REGISTER_TIMEOUT).json(manifest);
        super::json(call, self.accepted(call, request).await?).await
    }

    /// The scenes, youngest first.
    pub async fn scenes(&self, limit: u32) -> Result<Vec<SceneSummary>, CallError> {
        self.get::<ScenePage>("list scenes", &format!("/api/v1/scenes?limit={limit}")).await.map(|page| page.scenes)
    }

    /// A scene as the orchestrator has it.
    pub async fn scene(&self, scene: SceneId) -> Result<SceneReport, CallError> {
        self.get("look at the scene", &format!("/api/v1/scenes/{scene}")).await
    }

    /// Asks what is in a scene, and how that question stands.
    pub async fn inspection(&self, scene: SceneId) -> Result<InspectionStanding, CallError> {
        let call = "ask what is in the scene";
        let response = self.post(call, &format!("/api/v1/scenes/{scene}/inspection"), &()).await?;
        super::json(call, response).await
    }

    /// How much of a blob is there.
    pub async fn blob_standing(&self, blob: BlobRef) -> Result<BlobStanding, CallError> {
        let call = "look at a blob";
        let path = format!("/api/v1/blobs/{}", blob.sha256);
        let response =
            self.send(call, self.request(&self.http.calls, Method::HEAD, &path).timeout(CALL_TIMEOUT)).await?;
        match response.status() {
            StatusCode::OK => Ok(BlobStanding::Stored),
            StatusCode::NOT_FOUND => Ok(BlobStanding::Held(held(response.headers()).unwrap_or(0))),
            _ => super::sorted(call, response).await.map(|_| BlobStanding::Held(0)),
        }
    }

    /// Sends a blob's bytes from `piece.from` on. It takes as long as it takes: the caller looks whether the body moves.
    pub async fn put_blob(&self, piece: Piece, body: reqwest::Body) -> Result<Sent, CallError> {
        let call = "send a file";
        let Piece { blob: BlobRef { sha256, size_bytes }, from } = piece;
        let mut request = self
            .request(&self.http.calls, Method::PUT, &format!("/api/v1/blobs/{sha256}"))
            .header(CONTENT_LENGTH, size_bytes - from)
            .body(body);
        if from > 0 {
            request = request.header(CONTENT_RANGE, format!("bytes {from}-{}/{size_bytes}", size_bytes - 1));
        }
        let response = self.send(call, request).await?;
        match (response.status(), held(response.headers())) {
            (StatusCode::CONFLICT, Some(held)) => Ok(Sent::Elsewhere(held)),
            _ => super::sorted(call, response).await.map(|_| Sent::Stored),
        }
    }
}

fn held(headers: &HeaderMap) -> Option<u64> {
    headers.get(UPLOAD_OFFSET)?.to_str().ok()?.trim().parse().ok()
}
