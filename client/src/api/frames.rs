//! Recorded frames and their files.

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use haywain_shared::client::CallError;
use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::JobId;
use haywain_shared::job::FramePage;
use haywain_shared::path::RelativePath;
use reqwest::{Method, Url};

use super::{Api, unreachable};

/// Frames on a page.
const PAGE: u32 = 200;

impl Api {
    /// The frames that were recorded after `since`: a page of them.
    pub async fn frames(&self, job: JobId, since: u64) -> Result<FramePage, CallError> {
        self.get("list frames", &format!("/api/v1/jobs/{job}/frames?since={since}&limit={PAGE}")).await
    }

    /// The bytes of a frame's file, as they come. The caller checks the digest.
    pub async fn frame_file(
        &self,
        job: JobId,
        frame: FrameNumber,
        name: &RelativePath,
    ) -> Result<impl Stream<Item = Result<Bytes, CallError>> + use<>, CallError> {
        let call = "fetch a frame";
        let path = format!("/api/v1/jobs/{job}/frames/{frame}/files/{}", escaped(name));
        let response = self.accepted(call, self.request(&self.http.downloads, Method::GET, &path)).await?;
        Ok(response.bytes_stream().map_err(move |error| unreachable(call, &error)))
    }
}

/// A path as it stands in a URL: an artist's name may have anything in it.
fn escaped(name: &RelativePath) -> String {
    let Ok(mut url) = Url::parse("http://host/") else { return name.as_str().to_owned() };
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.clear().extend(name.as_str().split('/'));
    }
    url.path().trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_part_by_part() {
        for (name, path) in [
            ("left/0001.png", "left/0001.png"),
            ("über dem Feld #1 b.exr", "%C3%BCber%20dem%20Feld%20%231%20b.exr"),
            ("100%.png", "100%25.png"),
        ] {
            assert_eq!(escaped(&RelativePath::new(name).unwrap()), path);
        }
    }
}
