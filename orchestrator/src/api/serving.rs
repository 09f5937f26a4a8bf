//! Serving a file that is called by its content: whole, or the part that is asked for (RFC 9110, 14), with what a client
//! needs to go on later and to check what it has.

use std::ops::Range;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use haywain_shared::digest::Sha256Digest;
use haywain_shared::problem::ProblemKind;

use super::problem::Failed;

/// The digest of the whole file, also where a part is answered (RFC 9530).
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// What of a file is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it.
    Whole,
    /// These of its bytes.
    Part(Range<u64>),
    /// Bytes that it does not have.
    Beyond,
    /// Nothing: the client has it.
    Nothing,
}

/// What of a file with this content and size is asked for. A `Range` that is no such thing, or has several parts, counts for
/// nothing: that is the rule.
pub(super) fn asked(headers: &HeaderMap, digest: Sha256Digest, size_bytes: u64) -> Asked {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let tag = format!("\"{digest}\"");
    let same = |known: &str| known == "*" || known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag);
    if text(IF_NONE_MATCH).is_some_and(same) {
        return Asked::Nothing;
    }
    if text(IF_RANGE).is_some_and(|known| known.trim() != tag) {
        return Asked::Whole;
    }
    text(RANGE).and_then(|range| part(range, size_bytes)).unwrap_or(Asked::Whole)
}

/// The one range in a `Range` header, if it has one.
fn part(header: &str, size_bytes: u64) -> Option<Asked> {
    let (unit, range) = header.split_once('=')?;
    let (first, last) = range.trim().split_once('-').filter(|_| unit.trim().eq_ignore_ascii_case("bytes"))?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().unwrap_or(u64::MAX));
    let range = match (first, last) {
        ("", "") => return None,
        ("", suffix) => size_bytes.saturating_sub(number(suffix)?)..size_bytes,
        (first, "") => number(first)?..size_bytes,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(size_bytes)
        }
    };
    Some(if range.is_empty() { Asked::Beyond } else { Asked::Part(range) })
}

/// The bytes that are asked for, of a file of so many.
pub(super) fn bytes(asked: &Asked, size_bytes: u64) -> Range<u64> {
    match asked {
        Asked::Whole => 0..size_bytes,
        Asked::Part(range) => range.clone(),
        Asked::Beyond | Asked::Nothing => 0..0,
    }
}

/// The answer, with `body` for the bytes that are asked for.
pub(super) fn answer(asked: &Asked, digest: Sha256Digest, size_bytes: u64, body: Body) -> Response {
    let range = bytes(asked, size_bytes);
    let mut response = match asked {
        Asked::Whole => StatusCode::OK.into_response(),
        Asked::Part(_) => StatusCode::PARTIAL_CONTENT.into_response(),
        Asked::Nothing => StatusCode::NOT_MODIFIED.into_response(),
        Asked::Beyond => {
            let text = format!("the file has {size_bytes} bytes, and none where the Range is");
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            Failed::new(ProblemKind::RangeNotSatisfiable, status, text).into_response()
        }
    };
    let mut set = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    };
    match asked {
        Asked::Beyond => set(CONTENT_RANGE, format!("bytes */{size_bytes}")),
        Asked::Part(Range { start, end }) => set(CONTENT_RANGE, format!("bytes {start}-{}/{size_bytes}", end - 1)),
        Asked::Whole | Asked::Nothing => {}
    }
    set(ACCEPT_RANGES, "bytes".to_owned());
    set(ETAG, format!("\"{digest}\""));
    set(REPR_DIGEST, format!("sha-256=:{}:", base64(digest.as_bytes())));
    if matches!(asked, Asked::Whole | Asked::Part(_)) {
        set(CONTENT_TYPE, "application/octet-stream".to_owned());
        set(CONTENT_LENGTH, (range.end - range.start).to_string());
        *response.body_mut() = body;
    }
    response
}

/// Base64 with padding (RFC 4648, 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let number =
            three.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        for at in 0..4 {
            let digit = char::from(DIGITS[number >> (18 - 6 * at) & 63]);
            text.push(if at > three.len() { '=' } else { digit });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_rfc_s() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), text);
        }
    }

    #[test]
    fn one_range_is_understood_and_everything_else_is_the_whole() {
        let digest = Sha256Digest::of(b"");
        let tag = format!("\"{digest}\"");
        let other = "\"other\"".to_owned();
        let of = |pairs: &[(HeaderName, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
            asked(&headers, digest, 10)
        };
        let cases = [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=3-", Asked::Part(3..10)),
            ("bytes=3-99", Asked::Part(3..10)),
            ("Bytes=3-99999999999999999999999", Asked::Part(3..10)),
            ("bytes=-4", Asked::Part(6..10)),
            ("bytes=-40", Asked::Part(0..10)),
            ("bytes=-0", Asked::Beyond),
            ("bytes=10-", Asked::Beyond),
            ("bytes=99999999999999999999999-", Asked::Beyond),
            ("bytes=3-2", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("lines=1-2", Asked::Whole),
        ];
        for (range, expected) in cases {
            assert_eq!(of(&[(RANGE, range)]), expected, "{range}");
        }
        assert_eq!(of(&[(RANGE, "bytes=3-"), (IF_RANGE, &tag)]), Asked::Part(3..10));
        assert_eq!(of(&[(RANGE, "bytes=3-"), (IF_RANGE, &other)]), Asked::Whole);
        assert_eq!(of(&[(IF_NONE_MATCH, &format!("{other}, W/{tag}"))]), Asked::Nothing);
        assert_eq!(of(&[(IF_NONE_MATCH, &other)]), Asked::Whole);
    }
}
