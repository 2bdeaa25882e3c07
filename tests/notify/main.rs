//! Notifications against real servers: mail (aiosmtpd), web hooks (a web server with bad days), name servers.
//!
//! Needs a Python with aiosmtpd (named by `DOORWARD_PYTHON`); without aiosmtpd the mail scenes are skipped, never where CI is set.

#![allow(clippy::unwrap_used, reason = "a test may stop where its own ground is missing")]

mod address;
mod hook;
mod kit;
mod mail;
