//! Who may do what: the roles, what a credential is good for, and the one decision.
//!
//! Not here: who somebody is ([`super::accounts`]), and where requests come from.

use super::problem::Problem;

/// What somebody may do; a later one may do everything that an earlier one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look at live pictures, nothing else: what a stream's address is good for.
    Stream,
    /// Look at everything, and keep the own account.
    Viewer,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Role; 3] = [Role::Stream, Role::Viewer, Role::Admin];

    /// The word in files, payloads and on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Viewer => "viewer",
            Self::Admin => "admin",
        }
    }

    /// The inverse of [`Role::word`].
    #[must_use]
    pub fn of_word(word: &str) -> Option<Role> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// What a credential is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// What may be done with it.
    pub role: Role,
    /// The only camera that it is good for; none = all, and what belongs to none.
    pub camera: Option<String>,
}

impl Scope {
    /// Everything that the role may do.
    #[must_use]
    pub fn all(role: Role) -> Self {
        Self { role, camera: None }
    }
}

/// How somebody came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// With the key of the data folder, from this machine itself.
    LocalKey,
    /// Through Home Assistant, which asked for its own login.
    Ingress,
    /// From a network that needs no login.
    TrustedNetwork,
    /// With a login at the broker.
    Mqtt,
    /// Signed in: the digest of the session's secret, as it is kept.
    Session(String),
    /// With a token of that id.
    Token(String),
}

/// Somebody who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// How.
    pub how: How,
    /// Who, for the audit log: the user's name, the token's name, Home Assistant's user …
    pub name: String,
    /// For what.
    pub scope: Scope,
}

impl Caller {
    /// Whether this caller may do what needs `role`, at `camera` if it is about one.
    ///
    /// # Errors
    /// [`Problem::Forbidden`] with what it would take.
    pub fn may(&self, role: Role, camera: Option<&str>) -> Result<(), Problem> {
        if self.scope.role < role {
            return Err(Problem::Forbidden { needs: role.word().into() });
        }
        match &self.scope.camera {
            Some(only) if camera != Some(only) => {
                Err(Problem::Forbidden { needs: format!("token for more than the camera {only}") })
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_cameras_limit_what_may_be_done() {
        let caller = |role, camera: Option<&str>| Caller {
            how: How::Token("t".into()),
            name: "somebody".into(),
            scope: Scope { role, camera: camera.map(str::to_owned) },
        };
        // who, only this camera, what it needs, at which camera, may it
        for (role, only, needs, at, allowed) in [
            (Role::Admin, None, Role::Admin, None, true),
            (Role::Admin, None, Role::Stream, Some("porch"), true),
            (Role::Viewer, None, Role::Viewer, None, true),
            (Role::Viewer, None, Role::Admin, None, false),
            (Role::Stream, None, Role::Stream, Some("porch"), true),
            (Role::Stream, None, Role::Viewer, Some("porch"), false),
            (Role::Stream, Some("porch"), Role::Stream, Some("porch"), true),
            (Role::Stream, Some("porch"), Role::Stream, Some("shed"), false),
            (Role::Viewer, Some("porch"), Role::Viewer, None, false),
            (Role::Admin, Some("porch"), Role::Admin, Some("porch"), true),
        ] {
            let outcome = caller(role, only).may(needs, at);
            assert_eq!(outcome.is_ok(), allowed, "{role:?} {only:?} {needs:?} {at:?}");
        }
        assert!(Role::ALL.iter().all(|role| Role::of_word(role.word()) == Some(*role)));
    }
}
