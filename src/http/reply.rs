//! Answers with their headers; the one place that chooses the HTTP status of a problem.
//!
//! Not here: sentences; those are [`Problem`]'s.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
    RETRY_AFTER, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::logic::problem::Problem;

/// A whole answer.
pub(super) type Reply = Response<Full<Bytes>>;

/// Headers that every answer of both halves carries. Pictures of a home are private, so nothing may keep a copy.
pub(super) const COMMON: [(HeaderName, &str); 4] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// What decides about the headers that protect an answer in a browser, besides those that all carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    /// It goes over TLS.
    pub(super) is_tls: bool,
    /// The browser shall never come without TLS again.
    pub(super) stays_secure: bool,
    /// Home Assistant shows it inside its own page, from the same address.
    pub(super) is_framed: bool,
}

impl Guard {
    fn headers(self) -> impl Iterator<Item = (HeaderName, &'static str)> {
        let frames = (X_FRAME_OPTIONS, if self.is_framed { "SAMEORIGIN" } else { "DENY" });
        // Browsers heed it over TLS only, and complain elsewhere.
        let opener = (HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
        let secure = (STRICT_TRANSPORT_SECURITY, "max-age=31536000");
        let opener = (self.is_tls && !self.is_framed).then_some(opener);
        std::iter::once(frames).chain(opener).chain(self.stays_secure.then_some(secure))
    }

    /// Puts the headers into an answer.
    pub(super) fn put(self, reply: &mut Reply) {
        reply
            .headers_mut()
            .extend(self.headers().map(|(name, value)| (name, HeaderValue::from_static(value))));
    }

    /// Puts the headers behind the first line of an answer in bytes, which has to be there whole.
    pub(super) fn put_raw(self, answer: &mut Vec<u8>) {
        let Some(line) = answer.iter().position(|byte| *byte == b'\n') else { return };
        let lines: String = self.headers().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        answer.splice(line + 1..=line, lines.into_bytes());
    }
}

/// The HTTP status of a problem.
pub(super) fn status(problem: &Problem) -> StatusCode {
    match problem {
        Problem::NoCamera { .. }
        | Problem::CameraBusy { .. }
        | Problem::CameraDenied { .. }
        | Problem::Starting
        | Problem::NoSignal
        | Problem::NoUsableFormat { .. }
        | Problem::CameraFailed { .. }
        | Problem::NotBuilt { .. }
        | Problem::Privacy
        | Problem::TooManyViewers { .. }
        | Problem::NoBroker
        | Problem::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Problem::NotANumber { .. }
        | Problem::OutOfRange { .. }
        | Problem::NotAChoice { .. }
        | Problem::RetainedCommand
        | Problem::BadName { .. }
        | Problem::BadField { .. }
        | Problem::BadAccount { .. }
        | Problem::BadRequest { .. } => StatusCode::BAD_REQUEST,
        Problem::NotAllowed { .. }
        | Problem::NeverOverMqtt { .. }
        | Problem::OwnTopicNeeded { .. }
        | Problem::ReadOnly { .. }
        | Problem::CrossSite
        | Problem::Forbidden { .. }
        | Problem::AddressRefused { .. }
        | Problem::PlainHttp
        | Problem::PairingCode
        | Problem::WrongPassword
        | Problem::NoAccount
        | Problem::OutsideIdentity { .. } => StatusCode::FORBIDDEN,
        Problem::SetUpAlready => StatusCode::CONFLICT,
        Problem::NotFound { .. } => StatusCode::NOT_FOUND,
        Problem::Unauthorized | Problem::WrongLogin | Problem::CodeNeeded => StatusCode::UNAUTHORIZED,
        Problem::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Problem::Photo(_) | Problem::Config(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Problem::Disk { .. } | Problem::ConfigFile { .. } | Problem::Backup { .. } => {
            StatusCode::INSUFFICIENT_STORAGE
        }
        Problem::TooManyAttempts { .. } | Problem::TooOften { .. } => StatusCode::TOO_MANY_REQUESTS,
        Problem::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
    }
}

/// Seconds after which trying again makes sense.
pub(super) fn retry_after(problem: &Problem) -> Option<u64> {
    match problem {
        Problem::TooManyAttempts { wait_s } => Some(*wait_s),
        Problem::TooManyViewers { .. } => Some(10),
        Problem::Busy => Some(1),
        other => (status(other) == StatusCode::SERVICE_UNAVAILABLE).then_some(5),
    }
}

/// The body of a problem, the same on REST and MQTT.
pub(super) fn problem_body(problem: &Problem) -> Value {
    let mut body = json!({ "error": problem.title(), "code": problem.code(), "detail": problem.advice() });
    if let Some(faults) = problem.faults() {
        body["faults"] = faults;
    }
    body
}

/// An answer with a body.
pub(super) fn body(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.extend(COMMON.map(|(name, value)| (name, HeaderValue::from_static(value))));
    reply
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, value: &Value) -> Reply {
    body(status, "application/json", value.to_string())
}

/// A problem as JSON, with the headers that belong to it.
pub(super) fn problem(problem: &Problem) -> Reply {
    let mut reply = json(status(problem), &problem_body(problem));
    if let Some(seconds) = retry_after(problem) {
        reply.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    if let Problem::AddressRefused { .. } = problem {
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Problem::WrongMethod { allowed } = problem
        && let Ok(allowed) = allowed.parse()
    {
        reply.headers_mut().insert(ALLOW, allowed);
    }
    reply
}

/// The way to the same thing at another address, for good; the method stays.
pub(super) fn moved(address: &str) -> Reply {
    let mut reply = body(StatusCode::PERMANENT_REDIRECT, "text/plain; charset=utf-8", "");
    if let Ok(address) = address.parse() {
        reply.headers_mut().insert(LOCATION, address);
    }
    reply
}

/// A problem as the bytes of a whole HTTP answer, for where hyper does not write.
pub(super) fn raw(problem: &Problem) -> Vec<u8> {
    let body = problem_body(problem).to_string();
    let mut head = raw_head(status(problem), "application/json", Some(body.len()));
    if let Some(seconds) = retry_after(problem) {
        head += &format!("Retry-After: {seconds}\r\n");
    }
    format!("{head}\r\n{body}").into_bytes()
}

/// The head of an answer that ends with its connection, without the empty line at its end.
pub(super) fn raw_head(status: StatusCode, content_type: &str, length: Option<usize>) -> String {
    let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {content_type}\r\n");
    if let Some(length) = length {
        head += &format!("Content-Length: {length}\r\n");
    }
    for (name, value) in &COMMON {
        head += &format!("{name}: {value}\r\n");
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_answers_get_the_same_headers() {
        let guard = |is_tls, stays_secure, is_framed| Guard { is_tls, stays_secure, is_framed };
        for (guard, expected) in [
            (guard(false, false, false), "x-frame-options: DENY"),
            (guard(false, false, true), "x-frame-options: SAMEORIGIN"),
            (guard(true, false, false), "x-frame-options: DENY, cross-origin-opener-policy: same-origin"),
            (
                guard(true, true, false),
                "x-frame-options: DENY, cross-origin-opener-policy: same-origin, strict-transport-security: max-age=31536000",
            ),
        ] {
            let mut bytes = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody\n".to_vec();
            guard.put_raw(&mut bytes);
            let lines = expected.replace(", ", "\r\n");
            assert_eq!(
                String::from_utf8(bytes).unwrap(),
                format!("HTTP/1.1 200 OK\r\n{lines}\r\nA: b\r\n\r\nbody\n")
            );
            let mut reply = json(StatusCode::OK, &json!({}));
            let before = reply.headers().len();
            guard.put(&mut reply);
            let put: Vec<_> = guard.headers().collect();
            assert_eq!(reply.headers().len(), before + put.len());
            assert!(put.iter().all(|(name, value)| reply.headers()[name] == *value));
        }
        let mut half = b"HTTP/1.1".to_vec();
        guard(true, true, true).put_raw(&mut half);
        assert_eq!(half, b"HTTP/1.1");
    }
}
