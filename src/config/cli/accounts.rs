//! What `doorward user` and `doorward token` take.
//!
//! Not here: what they do; see `crate::app::accounts`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What can be done about users. Passwords are asked for on the terminal, else read from the first line of standard input.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum User {
    /// List the users, as JSON.
    List(OfFile),
    /// Add a user.
    Add {
        /// Who.
        #[command(flatten)]
        who: OneUser,
        /// viewer or admin; the first user is an admin, others are viewers if nothing is said.
        #[arg(long, value_parser = ["viewer", "admin"])]
        role: Option<String>,
        /// Where the password comes from.
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Set a user's password; everybody signed in with the old one is signed out.
    Passwd {
        /// Who.
        #[command(flatten)]
        who: OneUser,
        /// End the second factor too, for somebody who has lost it.
        #[arg(long)]
        end_totp: bool,
        /// Where the password comes from.
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Remove a user.
    Del(OneUser),
    /// Keep a user out until `unlock`.
    Lock(OneUser),
    /// Let a user in again, after `lock` or too many wrong passwords.
    Unlock(OneUser),
    /// Make a user a viewer or an admin.
    Role {
        /// Who.
        #[command(flatten)]
        who: OneUser,
        /// viewer or admin.
        #[arg(value_name = "ROLE", value_parser = ["viewer", "admin"])]
        role: String,
    },
    /// Sign a user out everywhere; what they watch ends.
    Logout(OneUser),
    /// Exit with 0 if the password is the user's, with 1 if not.
    Check {
        /// Who.
        #[command(flatten)]
        who: OneUser,
        /// Where the password comes from.
        #[command(flatten)]
        password: PasswordFrom,
    },
}

/// A user, and where the users are.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct OneUser {
    /// The user's name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Where the users are.
    #[command(flatten)]
    pub of: OfFile,
}

/// Where the users are.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct OfFile {
    /// Work on this accounts.json, which no appliance may be using, instead of the data folder's.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Where a password comes from.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordFrom {
    /// Read the password from standard input, even on a terminal.
    #[arg(long)]
    pub password_stdin: bool,
}

/// What can be done about tokens; the words are those of the requests.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Token {
    /// Make a token, and show it this once.
    Create {
        /// What it is good for: stream, viewer or admin.
        #[arg(long, value_parser = ["stream", "viewer", "admin"])]
        kind: String,
        /// Only for this camera.
        #[arg(long, value_name = "ID")]
        camera: Option<String>,
        /// A name by which you know it again.
        #[arg(long)]
        name: Option<String>,
        /// After how many days it ends; without this, when it is revoked.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3650))]
        days: Option<u64>,
    },
    /// List the tokens; they themselves are not shown again.
    List,
    /// End a token.
    Revoke {
        /// Its id, as `list` has it.
        #[arg(value_name = "ID")]
        id: String,
    },
}
