//! A certificate with its private key: reading, checking and making one. Pure but for the random key.
//!
//! Not here: files, and when a new one is due ([`super::keep`]).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::prelude::X509Certificate;

use super::{Facts, provider};

/// How long a certificate of ours holds.
const VALID: Duration = Duration::from_hours(365 * 24);
/// A machine whose clock is a little late shall take a new certificate too.
const EARLIER: Duration = Duration::from_hours(24);

/// A certificate that can be shown.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) facts: Facts,
}

/// A new certificate and its key as PEM.
pub(super) struct Made {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Reads a chain and its key; the error is what is wrong, without an end.
pub(super) fn read(certificate: &[u8], key: &[u8]) -> Result<Pair, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|error| format!("the certificate is damaged: {error}"))?;
    let Some(first) = chain.first() else { return Err("the certificate file holds no certificate".into()) };
    let facts = facts(first)?;
    // Its own error may quote from the file, which is not for logs.
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "the key file holds no private key in PEM")?;
    let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the key does not belong to the certificate".to_owned()
        }
        error => format!("the pair cannot be used: {error}"),
    })?;
    Ok(Pair { key: Arc::new(key), facts })
}

fn facts(der: &CertificateDer<'_>) -> Result<Facts, String> {
    let damaged = |error: &dyn std::fmt::Display| format!("the certificate is damaged: {error}");
    let (_, certificate) = parse_x509_certificate(der).map_err(|error| damaged(&error))?;
    let time = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp());
    Ok(Facts {
        fingerprint: fingerprint(der),
        not_before: time(certificate.validity().not_before).map_err(|error| damaged(&error))?,
        not_after: time(certificate.validity().not_after).map_err(|error| damaged(&error))?,
        is_self_signed: certificate.subject().as_raw() == certificate.issuer().as_raw(),
        names: names(&certificate),
    })
}

fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(|ip| ip.to_string())
        }
        _of_no_host => None,
    };
    alternative.value.general_names.iter().filter_map(name).collect()
}

/// A new key on P-256 and a certificate of its own for these host names and IP addresses; names that no certificate can hold are left out.
///
/// It is no authority (RFC 5280 basic constraints), so that somebody who trusts it trusts this machine and nothing else.
pub(super) fn make(names: &[String], now: Timestamp) -> Result<Made, String> {
    let fault = |error: rcgen::Error| format!("a certificate cannot be made: {error}");
    let fits = |name: &&String| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._:".contains(c))
    };
    let mut wanted: Vec<String> = Vec::new();
    for name in names.iter().filter(fits) {
        if !wanted.contains(name) {
            wanted.push(name.clone());
        }
    }
    let mut params = CertificateParams::new(wanted.clone()).map_err(fault)?;
    let since_1970 = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0));
    let now = date_time_ymd(1970, 1, 1) + since_1970;
    (params.not_before, params.not_after) = (now - EARLIER, now + VALID);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.distinguished_name = DistinguishedName::new();
    let host: String = wanted.first().map_or("", String::as_str).chars().take(48).collect();
    params.distinguished_name.push(DnType::CommonName, format!("Doorward {host}").trim());
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(fault)?;
    let certificate = params.self_signed(&key).map_err(fault)?;
    Ok(Made { certificate: certificate.pem(), key: key.serialize_pem() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str], now: &str) -> Made {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        make(&names, now.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_certificate_of_ours_says_what_it_is_for() {
        let names = [
            "door",
            "door.local",
            "localhost",
            "127.0.0.1",
            "::1",
            "192.0.2.7",
            "door",
            "bad name",
            "tür",
            "",
        ];
        let made = made(&names, "2026-03-01T12:00:00Z");
        let pair = read(made.certificate.as_bytes(), made.key.as_bytes()).unwrap();
        let facts = pair.facts;
        assert_eq!(facts.names, names[..6]);
        assert!(facts.is_self_signed);
        assert_eq!(facts.not_after, "2027-03-01T12:00:00Z".parse().unwrap());
        assert_eq!(facts.not_before, "2026-02-28T12:00:00Z".parse().unwrap());
        assert_eq!(facts.fingerprint.len(), 32 * 3 - 1);
        assert_eq!(facts.fingerprint.matches(':').count(), 31);
        let (_, read) = parse_x509_certificate(pair.key.end_entity_cert().unwrap()).unwrap();
        assert!(!read.is_ca() && read.subject().to_string() == "CN=Doorward door");
        // OIDs of an elliptic curve key and of P-256.
        let key = &read.public_key().algorithm;
        assert_eq!(key.algorithm.to_id_string(), "1.2.840.10045.2.1");
        let curve = key.parameters.as_ref().and_then(|curve| curve.as_oid().ok()).unwrap();
        assert_eq!(curve.to_id_string(), "1.2.840.10045.3.1.7");
    }

    #[test]
    fn a_pair_that_cannot_be_used_is_told_apart() {
        let (one, other) = (made(&["a"], "2026-03-01T12:00:00Z"), made(&["a"], "2026-03-01T12:00:00Z"));
        let half = &one.certificate[..one.certificate.len() / 2];
        let stuffed = one.certificate.replacen("MII", "AAA", 1);
        for (certificate, key, expected) in [
            (one.certificate.as_str(), one.key.as_str(), ""),
            (&one.certificate, &other.key, "the key does not belong"),
            (&one.certificate, "", "the key file holds no private key"),
            (&one.certificate, &one.certificate, "the key file holds no private key"),
            ("", &one.key, "the certificate file holds no certificate"),
            (&one.key, &one.key, "the certificate file holds no certificate"),
            (half, &one.key, "the certificate"),
            (&stuffed, &one.key, "the certificate is damaged"),
        ] {
            let said = read(certificate.as_bytes(), key.as_bytes()).err().unwrap_or_default();
            assert!(said.starts_with(expected) && said.is_empty() == expected.is_empty(), "{said}");
        }
    }
}
