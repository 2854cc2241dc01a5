//! Who this process is to its peers: a P-256 certificate, made once, whose key never leaves memory.
//!
//! Peers know it by its fingerprint (RFC 8122); names and dates in it mean nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use aws_lc_rs::{digest, rand};
use dimpl::{Config, DtlsCertificate};

use super::generation::BRING_UP;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const UTF8: u8 = 0x0C;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// DER of the object identifiers 1.2.840.10045.4.3.2, 1.2.840.10045.2.1, 1.2.840.10045.3.1.7, 2.5.4.3.
const ECDSA_WITH_SHA256: &[u8] = &[6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2];
const EC_PUBLIC_KEY: &[u8] = &[6, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1];
const PRIME256V1: &[u8] = &[6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7];
const COMMON_NAME: &[u8] = &[6, 3, 0x55, 4, 3];

/// A certificate, its key, and how its handshakes go.
#[derive(Clone)]
pub struct Identity {
    pub(super) certificate: DtlsCertificate,
    pub(super) config: Arc<Config>,
    fingerprint: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl Identity {
    /// Make a new one.
    ///
    /// # Errors
    /// A sentence, when the machine has no randomness or the cryptographic library refuses itself.
    pub fn new() -> Result<Self, String> {
        let failed = |what: &str| format!("a DTLS certificate could not be made: {what}");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| failed("no key"))?;
        let mut serial = [0; 16];
        rand::fill(&mut serial).map_err(|_| failed("no randomness"))?;
        let to_sign = to_be_signed(serial, pair.public_key().as_ref());
        let signature = pair.sign(&SystemRandom::new(), &to_sign).map_err(|_| failed("no signature"))?;
        let algorithm = der(SEQUENCE, &[ECDSA_WITH_SHA256]);
        let certificate = der(SEQUENCE, &[&to_sign, &algorithm, &der(BIT_STRING, &[&[0], signature.as_ref()])]);
        let private_key = pair.to_pkcs8v1().map_err(|_| failed("no encoding"))?.as_ref().to_vec();
        let digits = digest::digest(&digest::SHA256, &certificate);
        let digits: Vec<String> = digits.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        // No cookie: ICE has proved the address before a handshake is let in (security D2).
        let config = Config::builder()
            .use_server_cookie(false)
            .handshake_timeout(BRING_UP)
            .flight_start_rto(Duration::from_millis(500))
            .flight_retries(6)
            .build()
            .map_err(|error| failed(&error.to_string()))?;
        Ok(Self {
            certificate: DtlsCertificate { certificate, private_key },
            config: Arc::new(config),
            fingerprint: digits.join(":"),
        })
    }

    /// Name of the hash, and the digest as SDP has it (RFC 8122 §5): upper-case hex, with colons.
    #[must_use]
    pub fn fingerprint(&self) -> (&'static str, &str) {
        ("sha-256", &self.fingerprint)
    }
}

/// One DER value out of parts. No part here is longer than 65,535 bytes.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let [.., high, low] = (body.len() as u32).to_be_bytes();
    let mut made = match body.len() {
        ..128 => vec![tag, low],
        128..256 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    made.extend_from_slice(&body);
    made
}

/// The TBSCertificate (RFC 5280 §4.1). It never expires (§4.1.2.5): its key dies with the process.
/// The serial is random: browsers refuse two certificates of one issuer with the same.
fn to_be_signed(mut serial: [u8; 16], public_key: &[u8]) -> Vec<u8> {
    // Positive, and of full length.
    serial[0] = serial[0] & 0x7F | 0x40;
    let version = der(0xA0, &[&der(INTEGER, &[&[2]])]);
    let algorithm = der(SEQUENCE, &[ECDSA_WITH_SHA256]);
    let name = der(SEQUENCE, &[&der(SET, &[&der(SEQUENCE, &[COMMON_NAME, &der(UTF8, &[b"Weir"])])])]);
    let since = der(UTC_TIME, &[b"200101000000Z"]);
    let until = der(GENERALIZED_TIME, &[b"99991231235959Z"]);
    let validity = der(SEQUENCE, &[&since, &until]);
    let key_algorithm = der(SEQUENCE, &[EC_PUBLIC_KEY, PRIME256V1]);
    let key = der(SEQUENCE, &[&key_algorithm, &der(BIT_STRING, &[&[0], public_key])]);
    der(SEQUENCE, &[&version, &der(INTEGER, &[&serial]), &algorithm, &name, &validity, &name, &key])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_another_and_shows_its_fingerprint() {
        let (one, other) = (Identity::new().unwrap(), Identity::new().unwrap());
        let (name, digest) = one.fingerprint();
        assert_eq!(name, "sha-256");
        assert_eq!(digest.split(':').filter(|byte| byte.len() == 2).count(), 32);
        assert_eq!(digest, digest.to_uppercase());
        assert_ne!(digest, other.fingerprint().1);
        assert!(!format!("{one:?}").contains("private"));
    }

    #[test]
    fn lengths_are_in_shortest_form() {
        for (length, head) in
            [(0, vec![4, 0]), (127, vec![4, 127]), (128, vec![4, 0x81, 128]), (256, vec![4, 0x82, 1, 0])]
        {
            let made = der(4, &[&vec![7; length]]);
            assert_eq!((&made[..head.len()], made.len()), (&head[..], head.len() + length));
        }
    }
}
