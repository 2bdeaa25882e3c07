//! Answers with their headers; the one place that chooses the HTTP status of a problem.
//!
//! Not here: sentences; those are [`Problem`]'s.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::logic::problem::Problem;

/// A whole answer.
pub(super) type Reply = Response<Full<Bytes>>;

/// Headers that every answer of both halves carries. Pictures of a home are private, so nothing may keep a copy.
pub(super) const COMMON: [(HeaderName, &str); 3] =
    [(X_CONTENT_TYPE_OPTIONS, "nosniff"), (REFERRER_POLICY, "no-referrer"), (CACHE_CONTROL, "no-store")];

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
    if let Problem::WrongMethod { allowed } = problem
        && let Ok(allowed) = allowed.parse()
    {
        reply.headers_mut().insert(ALLOW, allowed);
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
