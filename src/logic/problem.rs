//! Every sentence about something that went wrong that a person can be shown: on the picture, the page, MQTT and REST.
//!
//! Not here: the cause for the log (edges log their own error chain), and faults of the configuration file
//! ([`crate::config`] reports them with key and line).

use std::fmt;

use serde_json::Value;

use super::admin::Mistake;
use super::faces::Refusal;

/// What went wrong, in the words of the person who has to mend it.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// The camera's device or file is not there.
    NoCamera {
        /// The configured source.
        source: String,
    },
    /// Another program holds the camera.
    CameraBusy {
        /// The configured source.
        source: String,
    },
    /// The system does not let us open the camera.
    CameraDenied {
        /// The configured source.
        source: String,
    },
    /// The camera is being opened.
    Starting,
    /// The camera is open but sends nothing.
    NoSignal,
    /// The camera offers no format that we can use, or the file holds no picture.
    NoUsableFormat {
        /// What it offers, in a few words.
        detail: String,
    },
    /// The camera failed in a way that has no kind of its own.
    CameraFailed {
        /// The system's words.
        detail: String,
    },
    /// This build lacks the part that the source needs.
    NotBuilt {
        /// The cargo feature that is missing.
        feature: &'static str,
    },
    /// A value is not a number.
    NotANumber {
        /// What was sent, cut to a few characters.
        value: String,
    },
    /// A number lies outside its range.
    OutOfRange {
        /// What was sent, cut to a few characters.
        value: String,
        /// Smallest value allowed.
        min: f64,
        /// Largest value allowed.
        max: f64,
    },
    /// A value is none of those that may be chosen.
    NotAChoice {
        /// What was sent, cut to a few characters.
        value: String,
        /// What would have been accepted.
        allowed: String,
    },
    /// The entity cannot be written.
    ReadOnly {
        /// Its key.
        key: String,
    },
    /// There is no such thing.
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// A command came as a retained message and would fire again at each reconnect.
    RetainedCommand,
    /// A request is not the JSON that it has to be.
    BadRequest {
        /// What is wrong with it.
        detail: String,
    },
    /// A field of a request cannot be used.
    BadField {
        /// The verb of the request.
        request: String,
        /// The field.
        field: String,
        /// What it takes.
        needs: String,
    },
    /// The request is not on the list of those that are allowed over MQTT.
    NotAllowed {
        /// Its verb.
        request: String,
    },
    /// The request carries a secret, which has no business at a broker.
    NeverOverMqtt {
        /// Its verb.
        request: String,
    },
    /// The answer is a secret, and the asker named no topic of its own for it.
    OwnTopicNeeded {
        /// The verb.
        request: String,
    },
    /// The same request came too often.
    TooOften {
        /// Its verb.
        request: String,
    },
    /// There is no connection to a broker.
    NoBroker,
    /// The camera shows nothing because privacy is on.
    Privacy,
    /// No credential, or a wrong one.
    Unauthorized,
    /// The request is larger than its route takes.
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// As many people as allowed are watching already.
    TooManyViewers {
        /// Viewers allowed.
        limit: usize,
    },
    /// Too many wrong credentials came from one address.
    TooManyAttempts {
        /// Seconds until the next one is looked at.
        wait_s: u64,
    },
    /// Another web site tried to change something in the name of a person who is signed in here.
    CrossSite,
    /// Somebody who is let in may not do this.
    Forbidden {
        /// What it takes: a role, or a token for more.
        needs: String,
    },
    /// The address is not one from which people may come.
    AddressRefused {
        /// The address.
        address: String,
    },
    /// Plain HTTP is not taken from this address.
    PlainHttp,
    /// The pairing code is wrong, used or too old.
    PairingCode,
    /// There is a first user already.
    SetUpAlready,
    /// Name, password or code are wrong, or the account is locked.
    WrongLogin,
    /// The password is right, and the account wants a one-time code too.
    CodeNeeded,
    /// The present password, which a change needs, is wrong.
    WrongPassword,
    /// A new password or name that cannot be had.
    BadAccount {
        /// Why not, in a sentence.
        detail: String,
    },
    /// It belongs to an account, and the asker has none.
    NoAccount,
    /// The outside identity was not accepted.
    OutsideIdentity {
        /// Why not, in a sentence.
        detail: String,
    },
    /// The path exists, but not for this method.
    WrongMethod {
        /// The methods that it takes.
        allowed: String,
    },
    /// A photograph cannot be used.
    Photo(Refusal),
    /// A person cannot have this name.
    BadName {
        /// Why not, in a sentence.
        detail: String,
    },
    /// Something cannot be written to the disk, or removed from it.
    Disk {
        /// The system's words.
        detail: String,
    },
    /// The configuration has mistakes, so nothing was changed.
    Config(Vec<Mistake>),
    /// The configuration file cannot be written.
    ConfigFile {
        /// Which, why, and what to do instead, in a sentence.
        detail: String,
    },
    /// There can be no backup.
    Backup {
        /// Why, in a sentence.
        detail: String,
    },
    /// Too much to do at the moment.
    Busy,
}

impl Problem {
    /// The stable word for programs, `snake_case`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoCamera { .. } => "no_camera",
            Self::CameraBusy { .. } => "camera_busy",
            Self::CameraDenied { .. } => "camera_denied",
            Self::Starting => "starting",
            Self::NoSignal => "no_signal",
            Self::NoUsableFormat { .. } => "no_usable_format",
            Self::CameraFailed { .. } => "camera_failed",
            Self::NotBuilt { .. } => "not_built",
            Self::NotANumber { .. } => "not_a_number",
            Self::OutOfRange { .. } => "out_of_range",
            Self::NotAChoice { .. } => "not_a_choice",
            Self::ReadOnly { .. } => "read_only",
            Self::NotFound { .. } => "not_found",
            Self::RetainedCommand => "retained_command",
            Self::BadRequest { .. } | Self::BadField { .. } => "bad_request",
            Self::NotAllowed { .. } | Self::NeverOverMqtt { .. } => "not_allowed",
            Self::OwnTopicNeeded { .. } => "own_topic_needed",
            Self::TooOften { .. } => "too_often",
            Self::NoBroker => "no_broker",
            Self::Privacy => "privacy",
            Self::Unauthorized => "unauthorized",
            Self::TooLarge { .. } => "too_large",
            Self::TooManyViewers { .. } => "too_many_viewers",
            Self::TooManyAttempts { .. } => "too_many_attempts",
            Self::CrossSite => "cross_site",
            Self::Forbidden { .. } => "forbidden",
            Self::AddressRefused { .. } => "address_refused",
            Self::PlainHttp => "plain_http",
            Self::PairingCode => "pairing_code",
            Self::SetUpAlready => "set_up_already",
            Self::WrongLogin => "wrong_login",
            Self::CodeNeeded => "code_needed",
            Self::WrongPassword => "wrong_password",
            Self::BadAccount { .. } => "bad_account",
            Self::NoAccount => "no_account",
            Self::OutsideIdentity { .. } => "outside_identity",
            Self::WrongMethod { .. } => "wrong_method",
            Self::Photo(refusal) => refusal.code(),
            Self::BadName { .. } => "bad_name",
            Self::Disk { .. } => "disk",
            Self::Config(_) => "bad_config",
            Self::ConfigFile { .. } => "config_file",
            Self::Backup { .. } => "backup",
            Self::Busy => "busy",
        }
    }

    /// The field of a request that is at fault, if it is one.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::BadField { field, .. } => Some(field),
            _ => None,
        }
    }

    /// The mistakes of a configuration, as a list for programs.
    #[must_use]
    pub fn faults(&self) -> Option<Value> {
        match self {
            Self::Config(mistakes) => Some(mistakes.iter().map(Mistake::to_json).collect()),
            _ => None,
        }
    }

    /// A few words, as on the card that replaces the picture.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self {
            Self::NoCamera { .. } => "No camera",
            Self::CameraBusy { .. } => "Camera in use",
            Self::CameraDenied { .. } => "No permission",
            Self::Starting => "Starting",
            Self::NoSignal => "No signal",
            Self::NoUsableFormat { .. } => "No usable picture format",
            Self::CameraFailed { .. } => "Camera fault",
            Self::NotBuilt { .. } => "Not in this build",
            Self::NotANumber { .. } => "Not a number",
            Self::OutOfRange { .. } => "Out of range",
            Self::NotAChoice { .. } => "Unknown value",
            Self::ReadOnly { .. } => "Cannot be set",
            Self::NotFound { .. } => "Not found",
            Self::RetainedCommand => "Retained command ignored",
            Self::BadRequest { .. } | Self::BadField { .. } => "Bad request",
            Self::NotAllowed { .. } | Self::NeverOverMqtt { .. } => "Not allowed over MQTT",
            Self::OwnTopicNeeded { .. } => "Own topic needed",
            Self::TooOften { .. } => "Too often",
            Self::NoBroker => "No broker",
            Self::Privacy => "Privacy is on",
            Self::Unauthorized => "Not signed in",
            Self::TooLarge { .. } => "Too large",
            Self::TooManyViewers { .. } => "Too many viewers",
            Self::TooManyAttempts { .. } => "Too many attempts",
            Self::CrossSite => "Refused from another site",
            Self::Forbidden { .. } => "Not allowed",
            Self::AddressRefused { .. } => "Address refused",
            Self::PlainHttp => "Needs HTTPS",
            Self::PairingCode => "Pairing code refused",
            Self::SetUpAlready => "Set up already",
            Self::WrongLogin => "Sign-in refused",
            Self::CodeNeeded => "Code needed",
            Self::WrongPassword => "Wrong password",
            Self::BadAccount { .. } => "Account refused",
            Self::NoAccount => "No account",
            Self::OutsideIdentity { .. } => "Outside sign-in refused",
            Self::WrongMethod { .. } => "Wrong method",
            Self::Photo(_) => "Photo refused",
            Self::BadName { .. } => "Name refused",
            Self::Disk { .. } => "Disk fault",
            Self::Config(_) => "Configuration refused",
            Self::ConfigFile { .. } => "Configuration not written",
            Self::Backup { .. } => "No backup",
            Self::Busy => "Busy",
        }
    }

    /// What happened and what to do, in a sentence or two.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::NoCamera { source } => {
                format!("{source} is not there. Plug the camera in, or set another source; it is tried again by itself.")
            }
            Self::CameraBusy { source } => {
                format!("Another program uses {source}. Close that program; the camera is tried again by itself.")
            }
            Self::CameraDenied { source } => {
                format!("{source} may not be opened. Add the user that runs Doorward to the group video.")
            }
            Self::Starting => "The camera is being opened. Try again in a moment.".into(),
            Self::NoSignal => "The camera sends no pictures. Check its cable; it is tried again by itself.".into(),
            Self::NoUsableFormat { detail } => format!("{detail}. Doorward reads MJPG and YUYV."),
            Self::CameraFailed { detail } => format!("{detail}. The camera is tried again by itself."),
            Self::NotBuilt { feature } => {
                format!("This program was built without {feature}. Build it with --features {feature}, or choose another source.")
            }
            Self::NotANumber { value } => format!("\"{value}\" is not a number."),
            Self::OutOfRange { value, min, max } => format!("{value} is outside {min} to {max}."),
            Self::NotAChoice { value, allowed } => format!("\"{value}\" is not known here; {allowed} would be."),
            Self::ReadOnly { key } => format!("{key} can be read but not set."),
            Self::NotFound { what } => format!("There is no {what}."),
            Self::RetainedCommand => {
                "The message is retained and would be carried out again at each reconnect. Send it without the retain flag.".into()
            }
            Self::BadRequest { detail } => format!("{detail}."),
            Self::BadField { request, field, needs } => format!("{request} needs {needs} in \"{field}\"."),
            Self::NotAllowed { request } => {
                format!("{request} may not be asked over MQTT here. Add it to mqtt.allow_requests, or ask with the doorward command or over HTTP.")
            }
            Self::NeverOverMqtt { request } => {
                format!("{request} has to do with a secret that everybody at the broker could read, so it is never taken over MQTT. Ask with the doorward command or over HTTPS.")
            }
            Self::OwnTopicNeeded { request } => {
                format!("The answer to {request} is a secret. Ask with MQTT 5 and name a response topic that only you can read, or ask with the doorward command or over HTTPS.")
            }
            Self::TooOften { request } => format!("{request} was asked too often. Wait a second between two of them."),
            Self::NoBroker => "The broker is not connected. Try again when it is back.".into(),
            Self::Privacy => "The camera is closed and no picture is kept. Switch privacy off to see it.".into(),
            Self::Unauthorized => {
                "Send the token as \"Authorization: Bearer …\", as ?token=…, or as the password of Basic authentication.".into()
            }
            Self::TooLarge { limit } => format!("At most {limit} bytes are taken here."),
            Self::TooManyViewers { limit } => format!("{limit} viewers are watching already. Try again when one has left."),
            Self::TooManyAttempts { wait_s } => format!("Wait {wait_s} seconds, then try again."),
            Self::CrossSite => "Only the appliance's own page may change something with its cookie; programs send the token itself.".into(),
            Self::Forbidden { needs } => format!("This needs the role or token: {needs}."),
            Self::AddressRefused { address } => {
                format!("{address} is not an address from which this appliance may be reached. Add it to access.allow, or start once with --disable-ip-lists.")
            }
            Self::PlainHttp => {
                "Passwords and pictures do not travel in the clear here. Use https:// in the address, or set http.plain to true.".into()
            }
            Self::PairingCode => {
                "The pairing code is wrong, used or older than 15 minutes. The newest one stands in the log; `doorward pair` and a restart make a new one.".into()
            }
            Self::SetUpAlready => "The first user exists already. Sign in, or have an admin add you.".into(),
            Self::WrongLogin => {
                "Name, password or code are wrong, or the account is locked. An admin can unlock it, or set a new password.".into()
            }
            Self::CodeNeeded => "Type the code of your authenticator app too, or one of your recovery codes.".into(),
            Self::WrongPassword => "The present password is not that one. Nothing was changed.".into(),
            Self::BadAccount { detail } | Self::OutsideIdentity { detail } => format!("{detail}."),
            Self::NoAccount => "This belongs to an account. Sign in with a name and a password first.".into(),
            Self::WrongMethod { allowed } => format!("This path takes {allowed}."),
            Self::Photo(refusal) => refusal.sentence(),
            Self::BadName { detail } => detail.clone(),
            Self::Disk { detail } => {
                format!("The change could not be written ({detail}); nothing was changed. Check the space on the disk and the permissions of the data folder.")
            }
            Self::Config(mistakes) => {
                let all: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
                format!("The configuration is not good, and nothing was changed. {}.", all.join("; "))
            }
            Self::ConfigFile { detail } | Self::Backup { detail } => format!("{detail}."),
            Self::Busy => "There is too much to do at the moment. Try again in a second.".into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.title(), self.advice())
    }
}

impl std::error::Error for Problem {}

/// At most forty characters of a value that somebody sent, for use in a sentence.
#[must_use]
pub fn quoted(value: &str) -> String {
    const LONGEST: usize = 40;
    let mut text: String = value.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if value.chars().count() > LONGEST {
        text.push('…');
    }
    text
}
