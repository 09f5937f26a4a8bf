//! Stored bytes as HTTP serves them: whole or a range of them (RFC 9110, 14), under an entity tag that is their digest, with
//! the digest fields of RFC 9530. What is stored never changes, so that a tag is for ever.

use std::ops::Range;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    HeaderValue, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::response::Response;
use futures_util::Stream;
use haywain_shared::digest::Sha256Digest;
use http_range_header::parse_range_header;

use crate::blobs::BlobError;

/// The digest of what this answer holds.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// The digest of the whole file, also in an answer that holds a part of it.
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// A stored file that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub(super) sha256: Sha256Digest,
    pub(super) size_bytes: u64,
    pub(super) content_type: &'static str,
}

/// What of it is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Whole,
    Part(Range<u64>),
    /// The client has it already.
    Nothing,
    /// A range that the file does not have.
    Impossible,
}

/// What a request asks for. Several ranges at once are answered by the whole file, as servers may.
pub(super) fn wanted(headers: &HeaderMap, stored: &Stored) -> Wanted {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let tag = entity_tag(stored);
    if text(&IF_NONE_MATCH).is_some_and(|tags| tags == "*" || tags.split(',').any(|one| one.trim() == tag)) {
        return Wanted::Nothing;
    }
    if text(&IF_RANGE).is_some_and(|one| one.trim() != tag) {
        return Wanted::Whole;
    }
    let Some(Ok(asked)) = text(&RANGE).map(parse_range_header) else { return Wanted::Whole };
    match asked.validate(stored.size_bytes).as_deref() {
        Ok([range]) => Wanted::Part(*range.start()..range.end() + 1),
        Ok(_) => Wanted::Whole,
        Err(_) => Wanted::Impossible,
    }
}

/// The answer to `wanted`; `bytes` are what it asks for, and are not looked at where it asks for none.
pub(super) fn answer<S>(stored: &Stored, wanted: &Wanted, bytes: Option<S>) -> Response
where
    S: Stream<Item = Result<Bytes, BlobError>> + Send + 'static,
{
    let size_bytes = stored.size_bytes;
    let (status, length, range) = match wanted {
        Wanted::Whole => (StatusCode::OK, Some(size_bytes), None),
        Wanted::Part(part) => {
            let range = format!("bytes {}-{}/{size_bytes}", part.start, part.end - 1);
            (StatusCode::PARTIAL_CONTENT, Some(part.end - part.start), Some(range))
        }
        Wanted::Nothing => (StatusCode::NOT_MODIFIED, None, None),
        Wanted::Impossible => (StatusCode::RANGE_NOT_SATISFIABLE, Some(0), Some(format!("bytes */{size_bytes}"))),
    };
    let body = bytes.map_or_else(Body::empty, Body::from_stream);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let digest = format!("sha-256=:{}:", base64(stored.sha256.as_bytes()));
    let whole = *wanted == Wanted::Whole;
    let fields = [
        (ETAG, Some(entity_tag(stored))),
        (ACCEPT_RANGES, Some("bytes".to_owned())),
        (CACHE_CONTROL, Some("no-cache".to_owned())),
        (REPR_DIGEST, Some(digest.clone())),
        (CONTENT_DIGEST, whole.then_some(digest)),
        (CONTENT_LENGTH, length.map(|length| length.to_string())),
        (CONTENT_RANGE, range),
        (CONTENT_TYPE, length.map(|_| stored.content_type.to_owned())),
    ];
    for (name, value) in fields {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The bytes of an answer that has none.
pub(super) type NoBytes = futures_util::stream::Empty<Result<Bytes, BlobError>>;

/// Bytes that are at hand.
pub(super) fn all_at_once(bytes: Bytes) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
    futures_util::stream::iter([Ok(bytes)])
}

fn entity_tag(stored: &Stored) -> String {
    format!("\"{}\"", stored.sha256)
}

/// Base64 (RFC 4648), as structured fields have it (RFC 8941).
fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// What a picture's name says it is.
pub(super) fn content_type_of(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    match extension.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "tif" | "tiff" => "image/tiff",
        "bmp" => "image/bmp",
        "exr" => "image/x-exr",
        "hdr" => "image/vnd.radiance",
        "tga" => "image/x-tga",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Stored {
        Stored { sha256: Sha256Digest::of(b"0123456789"), size_bytes: 10, content_type: "image/png" }
    }

    #[test]
    fn ranges_are_what_the_standard_says() {
        let tag = entity_tag(&stored());
        let cases: [(&[(HeaderName, &str)], Wanted); 12] = [
            (&[], Wanted::Whole),
            (&[(RANGE, "bytes=0-3")], Wanted::Part(0..4)),
            (&[(RANGE, "bytes=6-")], Wanted::Part(6..10)),
            (&[(RANGE, "bytes=-3")], Wanted::Part(7..10)),
            (&[(RANGE, "bytes=8-99")], Wanted::Part(8..10)),
            (&[(RANGE, "bytes=10-")], Wanted::Impossible),
            (&[(RANGE, "bytes=0-1,4-5")], Wanted::Whole),
            (&[(RANGE, "lines=0-1")], Wanted::Whole),
            (&[(RANGE, "bytes=0-3"), (IF_RANGE, "\"another\"")], Wanted::Whole),
            (&[(RANGE, "bytes=0-3"), (IF_RANGE, &tag)], Wanted::Part(0..4)),
            (&[(IF_NONE_MATCH, &tag)], Wanted::Nothing),
            (&[(IF_NONE_MATCH, "\"another\"")], Wanted::Whole),
        ];
        for (fields, expected) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.insert(name, value.parse().unwrap());
            }
            assert_eq!(wanted(&headers, &stored()), expected, "{fields:?}");
        }
    }
}
