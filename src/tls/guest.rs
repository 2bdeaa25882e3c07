//! The name in a client's certificate, which the handshake has checked against the authorities.
//!
//! Not here: what that name may do ([`crate::broker`]).

use rustls::pki_types::CertificateDer;
use x509_parser::parse_x509_certificate;

/// RFC 5280, appendix A.1: `ub-common-name`.
const LONGEST_NAME: usize = 64;

/// The one common name of the subject; none if there is no usable one.
#[must_use]
pub fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let mut names = certificate.subject().iter_common_name();
    let (name, more) = (names.next()?.as_str().ok()?, names.next());
    let is_usable = more.is_none()
        && !name.trim().is_empty()
        && name.chars().count() <= LONGEST_NAME
        && !name.chars().any(char::is_control);
    is_usable.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    #[test]
    fn only_one_plain_name_is_usable() {
        let long = "x".repeat(LONGEST_NAME);
        for (names, expected) in [
            (&["kitchen"][..], Some("kitchen")),
            (&["Küche 2"], Some("Küche 2")),
            (&[&long], Some(long.as_str())),
            (&[&format!("{long}x")], None),
            (&[], None),
            (&[""], None),
            (&[" "], None),
            (&["a\0b"], None),
            (&["a\nb"], None),
        ] {
            let mut params = CertificateParams::new(vec!["x".to_owned()]).unwrap();
            params.distinguished_name = DistinguishedName::new();
            for name in names {
                params.distinguished_name.push(DnType::CommonName, *name);
            }
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            assert_eq!(common_name(certificate.der()).as_deref(), expected, "{names:?}");
        }
        assert_eq!(common_name(&CertificateDer::from(vec![0x30, 3, 1, 2])), None);
    }
}
