//! The pages: HTML files of our own, with a policy that lets them load nothing from elsewhere.
//!
//! Not here: what they show; they read REST like any other program.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::sync::LazyLock;

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, SET_COOKIE};
use sha2::{Digest, Sha256};

use super::reply::{self, Reply};
use crate::logic::problem::Problem;

const HTML: &str = "text/html; charset=utf-8";

/// What the plain pages have in common.
const PARTS: [(&str, &str); 2] =
    [("/*plain.css*/", include_str!("plain.css")), ("/*plain.js*/", include_str!("plain.js"))];

struct Document {
    html: Bytes,
    policy: HeaderValue,
}

impl Document {
    /// Only the inline script and style that this program was built with may run, told by their hashes. `frames` says which
    /// sites may show the page inside their own.
    fn new(html: &str, frames: &str) -> Self {
        let html = PARTS.iter().fold(html.to_owned(), |html, (mark, part)| html.replace(mark, part));
        let policy = format!(
            "default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src {}; script-src {}; \
             form-action 'self'; base-uri 'none'; frame-ancestors {frames}",
            hash(&html, "style"),
            hash(&html, "script"),
        );
        Self {
            html: html.into(),
            policy: policy.parse().expect("hashes and our own words are valid in a header"),
        }
    }

    fn reply(&self, status: StatusCode) -> Reply {
        let mut reply = reply::body(status, HTML, self.html.clone());
        reply.headers_mut().insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        reply
    }
}

static PAGE: LazyLock<Document> = LazyLock::new(|| Document::new(include_str!("page.html"), "'none'"));
/// Home Assistant shows the page of an app inside its own, from the same address.
static FRAMED: LazyLock<Document> = LazyLock::new(|| Document::new(include_str!("page.html"), "'self'"));
static STATUS: LazyLock<Document> = LazyLock::new(|| Document::new(include_str!("status.html"), "'none'"));
static FRAMED_STATUS: LazyLock<Document> =
    LazyLock::new(|| Document::new(include_str!("status.html"), "'self'"));
static SET_UP: LazyLock<Document> = LazyLock::new(|| Document::new(include_str!("setup.html"), "'none'"));
static LANDED: LazyLock<Document> = LazyLock::new(|| Document::new(include_str!("landed.html"), "'none'"));
static REFUSED: LazyLock<Document> = LazyLock::new(|| Document::new(include_str!("refused.html"), "'none'"));
static SIGN_IN: LazyLock<Document> = LazyLock::new(|| Document::new(include_str!("signin.html"), "'none'"));

/// The source expression for the one inline element of that name; `'none'` if there is none.
fn hash(html: &str, element: &str) -> String {
    let content = html
        .split_once(&format!("<{element}>"))
        .and_then(|(_, rest)| rest.split_once(&format!("</{element}>")))
        .map(|(content, _)| content);
    content.map_or("'none'".into(), |content| format!("'sha256-{}'", BASE64.encode(Sha256::digest(content))))
}

/// The page itself; `framed` when Home Assistant asks for it.
pub(super) fn page(framed: bool) -> Reply {
    if framed { &FRAMED } else { &PAGE }.reply(StatusCode::OK)
}

/// The page about account, users, tokens and the audit log.
pub(super) fn status(framed: bool) -> Reply {
    if framed { &FRAMED_STATUS } else { &STATUS }.reply(StatusCode::OK)
}

/// The page of the first run, with the status that says why.
pub(super) fn set_up(status: StatusCode) -> Reply {
    SET_UP.reply(status)
}

/// The page that asks for name and password, with the status that says why.
pub(super) fn sign_in(status: StatusCode) -> Reply {
    SIGN_IN.reply(status)
}

/// After signing in elsewhere: leads to the page, with the cookie of the session.
pub(super) fn landed(cookie: Option<&HeaderValue>) -> Reply {
    let mut reply = LANDED.reply(StatusCode::OK);
    if let Some(cookie) = cookie {
        reply.headers_mut().insert(SET_COOKIE, cookie.clone());
    }
    reply
}

/// A problem for people who come from another site, with a way back.
pub(super) fn refused(problem: &Problem) -> Reply {
    let mut reply = REFUSED.reply(reply::status(problem));
    let html = String::from_utf8_lossy(&REFUSED.html);
    let html =
        html.replace("<!--title-->", problem.title()).replace("<!--advice-->", &escaped(&problem.advice()));
    *reply.body_mut() = Full::new(html.into());
    reply
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_load_nothing_from_elsewhere() {
        for document in [&PAGE, &SIGN_IN, &SET_UP, &STATUS, &LANDED, &REFUSED] {
            let html = std::str::from_utf8(&document.html).unwrap();
            assert!(!html.contains("/*plain"), "a part is missing");
            for scheme in ["http://", "https://", "src=\"/", "href=\"/", "\"//"] {
                let own = html.replace("http://www.w3.org/2000/svg", "");
                assert!(!own.contains(scheme), "{scheme} in a page");
            }
            assert_eq!(html.matches("<script").count(), html.matches("<script>").count());
            assert_eq!(html.matches("<style").count(), 1);
            for inline in [" style=\"", " onclick=", " onload=", "innerHTML", "eval("] {
                assert!(!html.contains(inline), "{inline} in a page");
            }
            assert!(!document.policy.to_str().unwrap().contains("unsafe"));
        }
        assert!(PAGE.policy.to_str().unwrap().matches("'sha256-").count() == 2);
    }
}
