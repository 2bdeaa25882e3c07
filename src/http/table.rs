//! Every route once: its path, its methods, who may use it, what it takes and what it answers. Reading a request, the check of roles, `Allow`, the
//! table in `docs/http.md` and the OpenAPI document are loops over [`TABLE`].
//!
//! Not here: what a route is once it is read ([`super::route`]), its answer ([`super::service`]), and the shapes of JSON ([`super::schema`]).

use std::time::Duration;

use serde_json::Map;

use super::faces;
use super::route::{Asked, Picture, Route, day, overlay, pace, teaching};
use crate::logic::access::Role;
use crate::logic::kept_file::KeptFile;
use crate::logic::problem::Problem;

/// One path.
pub(super) struct Row {
    /// Parameters stand in braces; one that ends in a star takes slashes too, and ends the path. `/api/v1/…` is `/api/…` as well.
    pub(super) path: &'static str,
    /// One for each method.
    pub(super) operations: &'static [Operation],
}

/// What one method does at a path.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) needs: Needs,
    /// What it does or answers, in a few words.
    pub(super) summary: &'static str,
    pub(super) query: &'static [Param],
    pub(super) body: Body,
    /// What it answers if all is well; everything else is a problem.
    pub(super) answers: &'static [Answer],
    /// Reads path and query.
    pub(super) route: fn(&Asked<'_>) -> Result<Route, Problem>,
}

impl Operation {
    /// Whether people see its answer in a browser.
    pub(super) fn is_page(&self) -> bool {
        self.answers.iter().any(|answer| answer.kind == HTML.kind)
    }
}

/// The methods there are; HEAD is taken wherever GET is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// What it takes to use an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing: it is open to everybody.
    Nothing,
    /// A role; for the camera in the path, if there is one.
    Role(Role),
    /// A session, whatever its role: it is about the asker's own account.
    Session,
    /// The role of the verb that the path ends with, after this prefix.
    Verb(&'static str),
}

/// A parameter of the query.
pub(super) struct Param {
    pub(super) name: &'static str,
    /// In the words of [`super::schema`].
    pub(super) kind: &'static str,
    pub(super) what: &'static str,
}

/// What is taken in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// Nothing; what comes all the same is read and left.
    Nothing,
    /// A JSON object of that name in [`super::schema`].
    Json(&'static str),
    /// The fields of a request, which may hold a picture.
    Fields,
    /// The same, or the picture itself.
    Photo,
    /// A value as plain text, or as `{"value": …}`.
    Value,
}

/// Bytes of a body in general.
pub(super) const MAX_BODY: usize = 64 * 1024;

impl Body {
    /// Bytes, at most; `general` = for what has no picture in it.
    pub(super) fn limit(self, general: usize) -> usize {
        match self {
            Self::Nothing | Self::Json(_) | Self::Value => general,
            Self::Fields | Self::Photo => faces::MAX_BODY,
        }
    }

    /// How long it may take to arrive.
    pub(super) fn time(self, general: Duration) -> Duration {
        match self {
            Self::Nothing | Self::Json(_) | Self::Value => general,
            Self::Fields | Self::Photo => faces::BODY_TIME.max(general),
        }
    }
}

/// An answer when all is well.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    /// Name of the shape in [`super::schema`]; empty for what is no JSON.
    pub(super) schema: &'static str,
}

const fn json(schema: &'static str) -> Answer {
    Answer { status: 200, kind: "application/json", schema }
}

const fn bytes(kind: &'static str) -> Answer {
    Answer { status: 200, kind, schema: "" }
}

const OVERLAY: Param = param(
    "overlay",
    "switch",
    "boxes around what moves and around faces; as the switch `overlay` says without it",
);

const HTML: Answer = bytes("text/html; charset=utf-8");
const JPEG: Answer = bytes("image/jpeg");
const TEXT: Answer = bytes("text/plain; charset=utf-8");
/// A drawn card or a fault, with the status of a failure.
const UNWELL: u16 = 503;

const GET: Operation = Operation {
    method: Method::Get,
    needs: Needs::Role(Role::Viewer),
    summary: "",
    query: &[],
    body: Body::Nothing,
    answers: &[],
    route: |_| Ok(Route::Page),
};
const POST: Operation = Operation { method: Method::Post, needs: Needs::Role(Role::Admin), ..GET };
const PUT: Operation = Operation { method: Method::Put, ..POST };
const DELETE: Operation = Operation { method: Method::Delete, ..POST };

const fn param(name: &'static str, kind: &'static str, what: &'static str) -> Param {
    Param { name, kind, what }
}

const CAMERA: Param = param("camera", "string", "id of a camera");
const FROM: Param = param("from", "when", "the beginning");
const TO: Param = param("to", "when", "the end");
const OFFSET: Param = param("offset", "integer(0..100000000)", "how many of the newest to skip");

/// Every route. Of two that fit, the first is meant.
pub(super) static TABLE: &[Row] = &[
    Row {
        path: "/",
        operations: &[Operation {
            summary: "the page; without a credential, the page to sign in",
            answers: &[HTML],
            route: |_| Ok(Route::Page),
            ..GET
        }],
    },
    Row {
        path: "/sign-in",
        operations: &[Operation {
            summary: "the page to sign in, for those too who need not; before there is a user, the page of the first run",
            needs: Needs::Nothing,
            answers: &[HTML],
            route: |_| Ok(Route::SignInPage),
            ..GET
        }],
    },
    Row {
        path: "/status",
        operations: &[Operation {
            summary: "the page about the own account, users, tokens and the audit log",
            answers: &[HTML],
            route: |_| Ok(Route::StatusPage),
            ..GET
        }],
    },
    Row {
        path: "/healthz",
        operations: &[Operation {
            summary: "200, or 503 with words; for supervisors",
            needs: Needs::Nothing,
            answers: &[TEXT, Answer { status: UNWELL, ..TEXT }],
            route: |_| Ok(Route::Health),
            ..GET
        }],
    },
    Row {
        path: "/api/v1/openapi.json",
        operations: &[Operation {
            summary: "this table as an OpenAPI document",
            answers: &[json("Anything")],
            route: |_| Ok(Route::OpenApi),
            ..GET
        }],
    },
    Row {
        path: "/api/v1/about",
        operations: &[Operation {
            summary: "version, node, and the fingerprint of the certificate",
            answers: &[json("About")],
            route: |_| Ok(Route::About),
            ..GET
        }],
    },
    Row {
        path: "/api/v1/session",
        operations: &[
            Operation {
                summary: "who the asker is; nobody is an answer too",
                needs: Needs::Nothing,
                answers: &[json("Session")],
                route: |_| Ok(Route::Session),
                ..GET
            },
            Operation {
                summary: "signs in and sets the cookie; 401 `code_needed` if the account wants a code too",
                needs: Needs::Nothing,
                body: Body::Json("SignIn"),
                answers: &[json("Session")],
                route: |_| Ok(Route::SignIn),
                ..POST
            },
            Operation {
                summary: "signs out; the session's streams end",
                needs: Needs::Session,
                answers: &[json("Done")],
                route: |_| Ok(Route::SignOut),
                ..DELETE
            },
        ],
    },
    Row {
        path: "/api/v1/oidc/start",
        operations: &[Operation {
            summary: "sends the browser to the provider of outside identities",
            needs: Needs::Nothing,
            answers: &[Answer { status: 302, ..HTML }],
            route: |_| Ok(Route::OutsideStart),
            ..GET
        }],
    },
    Row {
        path: "/api/v1/oidc/callback",
        operations: &[Operation {
            summary: "where the provider sends it back to: signs in and sets the cookie",
            needs: Needs::Nothing,
            query: &[
                param("state", "string", "which sign-in this is"),
                param("code", "string", "what the provider gives a token for"),
                param("error", "string", "why it gives none"),
                param("iss", "string", "which provider this is"),
            ],
            answers: &[HTML],
            route: |_| Ok(Route::OutsideBack),
            ..GET
        }],
    },
    Row {
        path: "/api/v1/setup",
        operations: &[Operation {
            summary: "the first user, an admin, with the pairing code; signs in",
            needs: Needs::Nothing,
            body: Body::Json("Setup"),
            answers: &[json("Session")],
            route: |_| Ok(Route::Setup),
            ..POST
        }],
    },
    Row {
        path: "/api/v1/session/password",
        operations: &[Operation {
            summary: "a new password for oneself; all other sessions end",
            needs: Needs::Session,
            body: Body::Json("NewPassword"),
            answers: &[json("Done")],
            route: |_| Ok(Route::OwnPassword),
            ..PUT
        }],
    },
    Row {
        path: "/api/v1/session/totp",
        operations: &[
            Operation {
                summary: "begins a second factor: its secret, also as a QR code",
                needs: Needs::Session,
                body: Body::Json("Password"),
                answers: &[json("TotpSecret")],
                route: |_| Ok(Route::TotpBegin),
                ..POST
            },
            Operation {
                summary: "confirms it with its first code; answers the recovery codes, once",
                needs: Needs::Session,
                body: Body::Json("TotpCode"),
                answers: &[json("RecoveryCodes")],
                route: |_| Ok(Route::TotpConfirm),
                ..PUT
            },
            Operation {
                summary: "ends it",
                needs: Needs::Session,
                body: Body::Json("Password"),
                answers: &[json("Done")],
                route: |_| Ok(Route::TotpEnd),
                ..DELETE
            },
        ],
    },
    Row {
        path: "/api/v1/users",
        operations: &[
            Operation {
                summary: "every user",
                needs: Needs::Role(Role::Admin),
                answers: &[json("Users")],
                route: |_| Ok(Route::verb("users/list", Map::new())),
                ..GET
            },
            Operation {
                summary: "adds a user",
                body: Body::Json("NewUser"),
                answers: &[json("AddedUser")],
                route: |_| Ok(Route::verb("users/add", Map::new())),
                ..POST
            },
        ],
    },
    Row {
        path: "/api/v1/users/{name}",
        operations: &[
            Operation {
                summary: "changes role or password, locks or unlocks; one after the other, up to the first that fails",
                body: Body::Json("UserChange"),
                answers: &[json("Done")],
                route: |asked| Ok(Route::ChangeUser { name: asked.decoded("name") }),
                ..PUT
            },
            Operation {
                summary: "removes a user; all sessions and streams of that user end",
                answers: &[json("Done")],
                route: |asked| Ok(Route::verb("users/delete", asked.field("name", "name"))),
                ..DELETE
            },
        ],
    },
    Row {
        path: "/api/v1/users/{name}/sessions",
        operations: &[Operation {
            summary: "signs a user out everywhere",
            answers: &[json("Done")],
            route: |asked| Ok(Route::verb("users/logout", asked.field("name", "name"))),
            ..DELETE
        }],
    },
    Row {
        path: "/api/v1/tokens",
        operations: &[
            Operation {
                summary: "every token, without its secret",
                needs: Needs::Role(Role::Admin),
                answers: &[json("Tokens")],
                route: |_| Ok(Route::verb("token/list", Map::new())),
                ..GET
            },
            Operation {
                summary: "makes a token; its secret is told this once",
                body: Body::Json("NewToken"),
                answers: &[json("MadeToken")],
                route: |_| Ok(Route::verb("token/create", Map::new())),
                ..POST
            },
        ],
    },
    Row {
        path: "/api/v1/tokens/{id}",
        operations: &[Operation {
            summary: "revokes a token; its streams end",
            answers: &[json("Done")],
            route: |asked| Ok(Route::verb("token/revoke", asked.field("id", "id"))),
            ..DELETE
        }],
    },
    Row {
        path: "/api/v1/audit",
        operations: &[
            Operation {
                summary: "the audit log, newest first",
                needs: Needs::Role(Role::Admin),
                query: &[
                    FROM,
                    TO,
                    param(
                        "level",
                        "string",
                        "info, warning or alert: only entries that matter so much or more",
                    ),
                    param("type", "string", "kinds such as sign_in or refused; several with commas"),
                    param("user", "string", "only entries of this user"),
                    param("address", "string", "only entries with this address on the way"),
                    param("alert", "boolean", "only those that people were told of, or only the others"),
                    param("limit", "integer(1..500)", "entries at most, 100 if not given"),
                    OFFSET,
                ],
                answers: &[json("AuditLog")],
                route: |asked| Ok(Route::verb("audit/list", asked.fields())),
                ..GET
            },
            Operation {
                summary: "clears it, and notes who did",
                answers: &[json("Removed")],
                route: |_| Ok(Route::verb("audit/clear", Map::new())),
                ..DELETE
            },
        ],
    },
    Row {
        path: "/api/v1/state",
        operations: &[Operation {
            summary: "node, cameras with every entity (value, kind, range), people, the newest events",
            answers: &[json("State")],
            route: |_| Ok(Route::State),
            ..GET
        }],
    },
    Row {
        path: "/api/v1/events",
        operations: &[Operation {
            summary: "events that are kept, newest first; see [events.md](events.md)",
            query: &[
                FROM,
                TO,
                param(
                    "type",
                    "string",
                    "sorts such as motion, or event types such as unknown; several with commas",
                ),
                CAMERA,
                param("person", "string", "slug of a person"),
                param("limit", "integer(1..500)", "events at most, 50 if not given"),
                OFFSET,
            ],
            answers: &[json("Events")],
            route: |asked| Ok(Route::verb("events/list", asked.fields())),
            ..GET
        }],
    },
    Row {
        path: "/api/v1/events/{id}",
        operations: &[
            Operation {
                summary: "one event",
                answers: &[json("Event")],
                route: |asked| Ok(Route::verb("events/get", asked.field("id", "event_id"))),
                ..GET
            },
            Operation {
                summary: "removes it with its files",
                answers: &[json("Anything")],
                route: |asked| Ok(Route::verb("events/delete", asked.field("id", "event_id"))),
                ..DELETE
            },
        ],
    },
    Row {
        path: "/api/v1/events/{id}/pinned",
        operations: &[Operation {
            summary: "`ON` or `OFF`: keeps it for good, or no longer",
            body: Body::Value,
            answers: &[json("Anything")],
            route: |asked| Ok(Route::EventPin { id: asked.text("id") }),
            ..PUT
        }],
    },
    Row {
        path: "/api/v1/events/{id}/snapshot.jpg",
        operations: &[Operation {
            summary: "the picture that was told",
            answers: &[JPEG],
            route: |asked| Ok(asked.event_picture(KeptFile::Picture)),
            ..GET
        }],
    },
    Row {
        path: "/api/v1/events/{id}/best.jpg",
        operations: &[Operation {
            summary: "a better picture of the same, if there is one",
            answers: &[JPEG],
            route: |asked| Ok(asked.event_picture(KeptFile::Best)),
            ..GET
        }],
    },
    Row {
        path: "/api/v1/events/{id}/thumbnail.jpg",
        operations: &[Operation {
            summary: "a small one",
            answers: &[JPEG],
            route: |asked| Ok(asked.event_picture(KeptFile::Thumbnail)),
            ..GET
        }],
    },
    Row {
        path: "/api/v1/events/{id}/clip.mp4",
        operations: &[Operation {
            summary: "the film, with `Range`",
            answers: &[bytes("video/mp4"), Answer { status: 206, ..bytes("video/mp4") }],
            route: |asked| {
                let range = asked.query("range").map(str::to_owned);
                Ok(Route::Picture(Picture::Clip { id: asked.text("id"), range }))
            },
            ..GET
        }],
    },
    Row {
        path: "/api/v1/notify/test",
        operations: &[Operation {
            summary: "sends a trial message; see [notify.md](notify.md)",
            query: &[param("target", "string", "name of one target; all of them without it")],
            answers: &[json("Anything")],
            route: |asked| Ok(Route::verb("notify/test", asked.fields())),
            ..POST
        }],
    },
    Row {
        path: "/api/v1/cameras/{camera}/snapshot.jpg",
        operations: &[Operation {
            summary: "the newest picture",
            needs: Needs::Role(Role::Stream),
            answers: &[JPEG, Answer { status: UNWELL, ..JPEG }],
            query: &[OVERLAY],
            route: |asked| {
                Ok(Route::Picture(Picture::Still { camera: asked.text("camera"), overlay: overlay(asked)? }))
            },
            ..GET
        }],
    },
    Row {
        path: "/api/v1/cameras/{camera}/stream.mjpeg",
        operations: &[Operation {
            summary: "MJPEG: `multipart/x-mixed-replace`, each part with `Content-Length`",
            needs: Needs::Role(Role::Stream),
            query: &[param("fps", "number(0.1..60)", "pictures a second at most"), OVERLAY],
            answers: &[bytes("multipart/x-mixed-replace; boundary=frame")],
            route: |asked| {
                let (camera, pace) = (asked.text("camera"), pace(asked)?);
                Ok(Route::Picture(Picture::Stream { camera, pace, overlay: overlay(asked)? }))
            },
            ..GET
        }],
    },
    Row {
        path: "/api/v1/cameras/{camera}/strip.jpg",
        operations: &[Operation {
            summary: "the thumbnails of a day in one picture",
            query: &[param("day", "date", "the day, today without it")],
            answers: &[JPEG],
            route: |asked| Ok(Route::Strip { camera: asked.text("camera"), day: day(asked)? }),
            ..GET
        }],
    },
    Row {
        path: "/api/v1/cameras/{camera}/snapshot",
        operations: &[Operation {
            summary: "takes a picture as an event, answers its id",
            answers: &[Answer { status: 202, ..json("TakenSnapshot") }],
            route: |asked| Ok(Route::TakeSnapshot { camera: asked.text("camera") }),
            ..POST
        }],
    },
    Row {
        path: "/api/v1/cameras/{camera}/entities/{key*}",
        operations: &[
            Operation {
                summary: "one entity of a camera",
                answers: &[json("Entity")],
                route: |asked| Ok(Route::Entity { camera: asked.text("camera"), key: asked.decoded("key") }),
                ..GET
            },
            Operation {
                summary: "sets a switch or a number, presses a button: plain text or `{\"value\": …}`",
                body: Body::Value,
                answers: &[json("WrittenEntity")],
                route: |asked| {
                    Ok(Route::WriteEntity { camera: asked.text("camera"), key: asked.decoded("key") })
                },
                ..PUT
            },
        ],
    },
    Row {
        path: "/api/v1/faces",
        operations: &[Operation {
            summary: "who is enrolled, who came unknown, who is ignored",
            answers: &[json("Anything")],
            route: |_| Ok(Route::verb("faces/list", Map::new())),
            ..GET
        }],
    },
    Row {
        path: "/api/v1/faces/self_test.svg",
        operations: &[Operation {
            summary: "the likeness table of the household",
            answers: &[bytes("image/svg+xml")],
            route: |_| Ok(Route::SelfTestPicture),
            ..GET
        }],
    },
    Row {
        path: "/api/v1/faces/{verb}",
        operations: &[Operation {
            summary: "`enrol`, `assign`, `reject`, `ignore`, `forget`, `test`: JSON as over MQTT, or a JPEG or PNG with the fields in the query; see [faces.md](faces.md)",
            needs: Needs::Verb("faces/"),
            body: Body::Photo,
            answers: &[json("Anything")],
            route: teaching,
            ..POST
        }],
    },
    Row {
        path: "/api/v1/why",
        operations: &[Operation {
            summary: "the decisions that led to no event",
            query: &[CAMERA, FROM, TO],
            answers: &[json("Anything")],
            route: |asked| Ok(Route::verb("why", asked.fields())),
            ..GET
        }],
    },
    Row {
        path: "/api/v1/requests/{verb*}",
        operations: &[Operation {
            summary: "what MQTT takes on `request/<verb>`; see [mqtt.md](mqtt.md)",
            needs: Needs::Verb(""),
            body: Body::Fields,
            answers: &[json("Anything")],
            route: |asked| asked.request(),
            ..POST
        }],
    },
];
