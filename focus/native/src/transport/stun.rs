//! STUN (RFC 8489) as ICE uses it (RFC 8445 §7.1): binding requests, responses and indications.
//!
//! Reading says what a datagram holds and never panics; proving who wrote it is a second step,
//! [`Message::proves`]. What is answered, and when, is the business of `ice`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

const COOKIE: u32 = 0x2112_A442;
const HEADER: usize = 20;
/// Of a message with the longest USERNAME (513 bytes); what is longer is not a check.
const LONGEST: usize = 1_500;
const FINGERPRINT_MASK: u32 = 0x5354_554E;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802A;

/// What binds a response to its request.
pub type TransactionId = [u8; 12];

/// Class of a binding message (RFC 8489 §5); other methods are not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Class {
    Request,
    Indication,
    Success,
    Error,
}

/// The role that a check claims for its sender, with its tie-breaker (RFC 8445 §7.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Claim {
    Controlling(u64),
    Controlled(u64),
}

/// A binding message, read but not yet proved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Message<'a> {
    bytes: &'a [u8],
    /// Where MESSAGE-INTEGRITY begins, and its value.
    integrity: Option<(usize, &'a [u8])>,
    pub class: Class,
    pub id: TransactionId,
    pub username: Option<&'a str>,
    pub priority: Option<u32>,
    pub use_candidate: bool,
    pub claim: Option<Claim>,
    /// Of an error response, 300 to 699.
    pub error: Option<u16>,
    /// XOR-MAPPED-ADDRESS of a success response.
    pub mapped: Option<SocketAddr>,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_be_bytes)
}

fn u32_of(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

fn u64_of(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

impl<'a> Message<'a> {
    /// Read a binding message. None for whatever is not one: lengths that do not add up, another
    /// method, a repeated or ill-formed attribute that we use, a FINGERPRINT that is not last or not right.
    ///
    /// Attributes behind MESSAGE-INTEGRITY are ignored (RFC 8489 §14.5), unknown ones always.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let kind = u16_at(bytes, 0)?;
        let class = match kind {
            0x0001 => Class::Request,
            0x0011 => Class::Indication,
            0x0101 => Class::Success,
            0x0111 => Class::Error,
            _ => return None,
        };
        let length = usize::from(u16_at(bytes, 2)?);
        if u32_of(bytes.get(4..8)?)? != COOKIE
            || !length.is_multiple_of(4)
            || bytes.len() > LONGEST
            || bytes.len().checked_sub(HEADER)? != length
        {
            return None;
        }
        let mut message = Self {
            bytes,
            integrity: None,
            class,
            id: bytes.get(8..HEADER)?.try_into().ok()?,
            username: None,
            priority: None,
            use_candidate: false,
            claim: None,
            error: None,
            mapped: None,
        };
        let mut at = HEADER;
        while at < bytes.len() {
            at = message.attribute(at)?;
        }
        Some(message)
    }

    /// Take in the attribute at `at`; where the next one begins is returned.
    fn attribute(&mut self, at: usize) -> Option<usize> {
        let kind = u16_at(self.bytes, at)?;
        let length = usize::from(u16_at(self.bytes, at.checked_add(2)?)?);
        let start = at.checked_add(4)?;
        let value = self.bytes.get(start..start.checked_add(length)?)?;
        let next = start.checked_add(length.checked_next_multiple_of(4)?)?;
        if next > self.bytes.len() {
            return None;
        }
        match kind {
            FINGERPRINT => {
                let crc = crc32(self.bytes.get(..at)?) ^ FINGERPRINT_MASK;
                return (next == self.bytes.len() && u32_of(value)? == crc).then_some(next);
            }
            _ if self.integrity.is_some() => {}
            MESSAGE_INTEGRITY if length == 20 => self.integrity = Some((at, value)),
            MESSAGE_INTEGRITY => return None,
            USERNAME => {
                let name = std::str::from_utf8(value).ok()?;
                if self.username.replace(name).is_some() {
                    return None;
                }
            }
            PRIORITY => self.priority = Some(u32_of(value)?),
            USE_CANDIDATE => self.use_candidate = true,
            ICE_CONTROLLING => self.claim = Some(Claim::Controlling(u64_of(value)?)),
            ICE_CONTROLLED => self.claim = Some(Claim::Controlled(u64_of(value)?)),
            ERROR_CODE => {
                let (class, number) = (*value.get(2)? & 7, *value.get(3)?);
                self.error = Some(u16::from(class).checked_mul(100)?.checked_add(u16::from(number))?);
            }
            XOR_MAPPED_ADDRESS => self.mapped = Some(unmask(value, &self.id)?),
            _ => {}
        }
        Some(next)
    }

    /// Whether the message was written by who holds this key (RFC 8489 §9.1.3), in constant time.
    #[must_use]
    pub fn proves(&self, key: &hmac::Key) -> bool {
        let Some((at, value)) = self.integrity else { return false };
        let Some(tag) = digest(key, self.bytes, at) else { return false };
        verify_slices_are_equal(tag.as_ref(), value).is_ok()
    }
}

/// HMAC over the first `at` bytes, as if MESSAGE-INTEGRITY were the last attribute.
fn digest(key: &hmac::Key, bytes: &[u8], at: usize) -> Option<hmac::Tag> {
    let length = u16::try_from(at.checked_add(24)?.checked_sub(HEADER)?).ok()?;
    let mut context = hmac::Context::with_key(key);
    context.update(bytes.get(..2)?);
    context.update(&length.to_be_bytes());
    context.update(bytes.get(4..at)?);
    Some(context.sign())
}

/// The key of short-term credentials (RFC 8489 §9.1.1). ICE passwords are ASCII, so SASLprep changes nothing.
#[must_use]
pub fn key(password: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes())
}

/// For the engine's demultiplexer: the first part of a binding request's USERNAME, which is our
/// ufrag if the request is meant for us. Nothing is verified.
#[must_use]
pub fn local_ufrag(datagram: &[u8]) -> Option<&str> {
    let message = Message::read(datagram)?;
    if message.class != Class::Request {
        return None;
    }
    message.username?.split_once(':').map(|(local, _)| local)
}

fn unmask(value: &[u8], id: &TransactionId) -> Option<SocketAddr> {
    let port = u16_at(value, 2)? ^ (COOKIE >> 16) as u16;
    let address = value.get(4..)?;
    match value.get(1)? {
        1 => Some(SocketAddr::new(Ipv4Addr::from(u32_of(address)? ^ COOKIE).into(), port)),
        2 => {
            let address = u128::from_be_bytes(address.try_into().ok()?) ^ mask6(id);
            Some(SocketAddr::new(Ipv6Addr::from(address).into(), port))
        }
        _ => None,
    }
}

/// Cookie and transaction id, which hide an IPv6 address (RFC 8489 §14.2).
fn mask6(id: &TransactionId) -> u128 {
    id.iter().fold(u128::from(COOKIE), |mask, byte| mask << 8 | u128::from(*byte))
}

/// A message under construction. Finished by [`Builder::sign`], which adds integrity and fingerprint.
#[derive(Clone, Debug)]
pub struct Builder(Vec<u8>);

impl Builder {
    /// A binding message without attributes.
    #[must_use]
    pub fn new(class: Class, id: &TransactionId) -> Self {
        let kind: u16 = match class {
            Class::Request => 0x0001,
            Class::Indication => 0x0011,
            Class::Success => 0x0101,
            Class::Error => 0x0111,
        };
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&COOKIE.to_be_bytes());
        bytes.extend_from_slice(id);
        Self(bytes)
    }

    /// `kind` and `value` as one attribute; a value is at most 513 bytes here, so its length fits.
    fn put(mut self, kind: u16, value: &[u8]) -> Self {
        self.0.extend_from_slice(&kind.to_be_bytes());
        self.0.extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// The attributes of a check (RFC 8445 §7.1): who it is for, as whom, and whether it nominates.
    #[must_use]
    pub fn check(self, username: &str, priority: u32, claim: Claim, nominate: bool) -> Self {
        let (kind, tie) = match claim {
            Claim::Controlling(tie) => (ICE_CONTROLLING, tie),
            Claim::Controlled(tie) => (ICE_CONTROLLED, tie),
        };
        let made = self
            .put(USERNAME, username.as_bytes())
            .put(PRIORITY, &priority.to_be_bytes())
            .put(kind, &tie.to_be_bytes());
        if nominate { made.put(USE_CANDIDATE, &[]) } else { made }
    }

    /// XOR-MAPPED-ADDRESS: where the request came from.
    #[must_use]
    pub fn mapped(self, from: SocketAddr) -> Self {
        let mut id = [0; 12];
        if let Some(own) = self.0.get(8..HEADER) {
            id.copy_from_slice(own);
        }
        let port = (from.port() ^ (COOKIE >> 16) as u16).to_be_bytes();
        match from.ip() {
            IpAddr::V4(address) => {
                let [a, b, c, d] = (u32::from(address) ^ COOKIE).to_be_bytes();
                self.put(XOR_MAPPED_ADDRESS, &[0, 1, port[0], port[1], a, b, c, d])
            }
            IpAddr::V6(address) => {
                let mut value = [0; 20];
                let hidden = (u128::from(address) ^ mask6(&id)).to_be_bytes();
                value[..4].copy_from_slice(&[0, 2, port[0], port[1]]);
                value[4..].copy_from_slice(&hidden);
                self.put(XOR_MAPPED_ADDRESS, &value)
            }
        }
    }

    /// ERROR-CODE 487, the only error that is ever told (RFC 8445 §7.3.1.1).
    #[must_use]
    pub fn role_conflict(self) -> Self {
        self.put(ERROR_CODE, b"\0\0\x04\x57Role Conflict")
    }

    /// Add MESSAGE-INTEGRITY and FINGERPRINT; the datagram.
    #[must_use]
    pub fn sign(mut self, key: &hmac::Key) -> Vec<u8> {
        if let Some(tag) = digest(key, &self.0, self.0.len()) {
            self = self.put(MESSAGE_INTEGRITY, tag.as_ref());
        }
        self.lengthen(8);
        let crc = crc32(&self.0) ^ FINGERPRINT_MASK;
        self.put(FINGERPRINT, &crc.to_be_bytes()).0
    }

    /// Write a length that counts `more` bytes which are not there yet.
    fn lengthen(&mut self, more: usize) {
        let length = (self.0.len() + more - HEADER) as u16;
        self.0[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

/// CRC-32 of ITU V.42, by nibbles: a check is 100 bytes, and a small table stays in the cache.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = {
        let mut table = [0; 16];
        let mut entry = 0;
        while entry < 16 {
            let mut crc = entry as u32;
            let mut bit = 0;
            while bit < 4 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
                bit += 1;
            }
            table[entry] = crc;
            entry += 1;
        }
        table
    };
    let step = |crc: u32, nibble: u8| crc >> 4 ^ TABLE[((crc ^ u32::from(nibble)) & 15) as usize];
    !bytes.iter().fold(!0, |crc, byte| step(step(crc, *byte), byte >> 4))
}

#[cfg(test)]
#[path = "stun_tests.rs"]
mod tests;
