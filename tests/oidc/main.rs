//! Signing in with an outside identity: the program itself, a provider that is not ours, and one that forges.
//!
//! The honest provider is a program from PyPI, built on Authlib; where a provider has to misbehave, a small one here signs whatever is
//! wanted. Not here: the table of claims (`src/logic/oidc/claims.rs`).

mod forger;
mod honest;
mod kit;
