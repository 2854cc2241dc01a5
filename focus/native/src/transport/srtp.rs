//! SRTP and SRTCP (RFC 3711) in the three profiles that are negotiated: AES-GCM with both key
//! lengths (RFC 7714), and AES-CM with HMAC-SHA1-80.
//!
//! Works in place and allocates nothing per packet. It knows neither clock nor address; what
//! the packets mean is the business of `media`.

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::streams::Streams;
use crate::command::Drop;

/// Room that must follow a plaintext: the longest tag (16) and the SRTCP index (4).
pub const TAIL: usize = 20;
/// Longest datagram that is taken.
pub(super) const LONGEST: usize = 1_500;
const GCM_TAG: usize = 16;
const CM_TAG: usize = 10;
const RTP_HEADER: usize = 12;
const RTCP_HEADER: usize = 8;
/// Encrypted flag of the SRTCP index.
const ENCRYPTED: u32 = 1 << 31;
/// Indices fit in 31 bits (RFC 3711 §3.4).
const MOST_RTCP: u32 = ENCRYPTED - 1;

/// A protection profile (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Profile {
    Gcm128,
    Gcm256,
    Sha1_80,
}

impl Profile {
    /// Bytes of a master key and of a master salt.
    #[must_use]
    pub fn lengths(self) -> (usize, usize) {
        match self {
            Self::Gcm128 => (16, 12),
            Self::Gcm256 => (32, 12),
            Self::Sha1_80 => (16, 14),
        }
    }
}

/// AES-CM key derivation with rate 0 (RFC 3711 §4.3.1, RFC 7714 §11): `label` fills `derived`.
fn derive(master: &EncryptingKey, salt: &[u8], label: u8, derived: &mut [u8]) -> Option<()> {
    let mut iv = [0; 16];
    iv.get_mut(..salt.len())?.copy_from_slice(salt);
    iv[7] ^= label;
    derived.fill(0);
    master.less_safe_encrypt(derived, EncryptionContext::Iv128(FixedLength::from(iv))).ok().map(|_| ())
}

fn counter_mode(key: &[u8]) -> Option<EncryptingKey> {
    let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
    EncryptingKey::ctr(UnboundCipherKey::new(algorithm, key).ok()?).ok()
}

/// The session keys of RTP or of RTCP, in one direction.
#[expect(clippy::large_enum_variant, reason = "what each packet looks at is fetched ahead, and lies behind no pointer")]
pub(super) enum Suite {
    Gcm { key: LessSafeKey, salt: [u8; 12] },
    Cm(Box<CounterMode>),
}

pub(super) struct CounterMode {
    key: EncryptingKey,
    salt: [u8; 14],
    mac: hmac::Key,
}

impl Suite {
    /// `label` is 0 for RTP and 3 for RTCP.
    fn new(profile: Profile, master: &[u8], master_salt: &[u8], label: u8) -> Option<Self> {
        let master_key = counter_mode(master)?;
        let mut key = [0; 32];
        let key = key.get_mut(..master.len())?;
        derive(&master_key, master_salt, label, key)?;
        if profile == Profile::Sha1_80 {
            let (mut auth, mut salt) = ([0; 20], [0; 14]);
            derive(&master_key, master_salt, label + 1, &mut auth)?;
            derive(&master_key, master_salt, label + 2, &mut salt)?;
            let mac = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth);
            return Some(Self::Cm(Box::new(CounterMode { key: counter_mode(key)?, salt, mac })));
        }
        let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        let mut salt = [0; 12];
        derive(&master_key, master_salt, label + 2, &mut salt)?;
        Some(Self::Gcm { key: LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?), salt })
    }
}

/// RFC 7714 §8.1 and §9.1, as `high` and `low` behind the SSRC have it.
fn nonce(salt: &[u8; 12], ssrc: u32, high: u32, low: u16) -> Nonce {
    let mut made = *salt;
    let mixed = u128::from(ssrc) << 48 | u128::from(high) << 16 | u128::from(low);
    for (byte, mix) in made.iter_mut().rev().zip(mixed.to_le_bytes()) {
        *byte ^= mix;
    }
    Nonce::assume_unique_for_key(made)
}

/// RFC 3711 §4.1.1.
fn counter(salt: &[u8; 14], ssrc: u32, index: u64) -> EncryptionContext {
    let mut made = [0; 16];
    made[..14].copy_from_slice(salt);
    let mixed = u128::from(ssrc) << 64 | u128::from(index) << 16;
    for (byte, mix) in made.iter_mut().rev().zip(mixed.to_le_bytes()) {
        *byte ^= mix;
    }
    EncryptionContext::Iv128(FixedLength::from(made))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_be_bytes)
}

/// Bytes in front of an RTP payload: fixed header, CSRCs, extension (RFC 3550 §5.1, §5.3.1). None if
/// it does not end inside the packet.
pub(crate) fn header_length(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let mut length = RTP_HEADER + 4 * usize::from(first & 15);
    if first & 0x10 != 0 {
        length += 4 + 4 * usize::from(u16_at(packet, length.checked_add(2)?)?);
    }
    (length <= packet.len()).then_some(length)
}

/// First ten bytes of HMAC-SHA1 over `bytes` and `more`.
fn authenticate(mac: &hmac::Key, bytes: &[u8], more: &[u8]) -> [u8; CM_TAG] {
    let mut context = hmac::Context::with_key(mac);
    context.update(bytes);
    context.update(more);
    let mut tag = [0; CM_TAG];
    let full = context.sign();
    if let Some(short) = full.as_ref().get(..CM_TAG) {
        tag.copy_from_slice(short);
    }
    tag
}

/// Write what follows the ciphertext. None without room for it.
fn append(packet: &mut [u8], at: usize, tail: &[u8]) -> Option<usize> {
    let end = at.checked_add(tail.len())?;
    packet.get_mut(at..end)?.copy_from_slice(tail);
    Some(end)
}

/// What we send with.
pub struct Sealer {
    pub(super) rtp: Suite,
    rtcp: Suite,
    /// Of the next SRTCP packet, over all SSRCs: no pair of SSRC and index comes twice.
    rtcp_index: u32,
    #[cfg(debug_assertions)]
    sealed: Streams<16>,
}

impl Sealer {
    /// None if a length is not the profile's.
    #[must_use]
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Option<Self> {
        if (key.len(), salt.len()) != profile.lengths() {
            return None;
        }
        Some(Self {
            rtp: Suite::new(profile, key, salt, 0)?,
            rtcp: Suite::new(profile, key, salt, 3)?,
            rtcp_index: 0,
            #[cfg(debug_assertions)]
            sealed: Streams::new(),
        })
    }

    /// Encrypt `packet[..len]`, which ends in the sequence number of `index`, and append the tag.
    /// The length on the wire. An index must not come twice with one SSRC.
    ///
    /// # Errors
    /// `Malformed` when the header does not fit in `len`, or the tag not behind it.
    pub fn seal_rtp(&mut self, packet: &mut [u8], len: usize, index: u64) -> Result<usize, Drop> {
        let length = self.try_seal_rtp(packet, len, index).ok_or(Drop::Malformed)?;
        #[cfg(debug_assertions)]
        if let Some(ssrc) = u32_at(packet, 8) {
            let window = self.sealed.at(ssrc);
            debug_assert!(window.is_new(index), "index {index} of SSRC {ssrc} was sealed twice");
            window.mark(index);
        }
        Ok(length)
    }

    fn try_seal_rtp(&mut self, packet: &mut [u8], len: usize, index: u64) -> Option<usize> {
        let plain = packet.get_mut(..len)?;
        let header = header_length(plain)?;
        let (ssrc, rollover) = (u32_at(plain, 8)?, (index >> 16) as u32);
        match &self.rtp {
            Suite::Gcm { key, salt } => {
                let (header, payload) = plain.split_at_mut_checked(header)?;
                let nonce = nonce(salt, ssrc, rollover, index as u16);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(header), payload).ok()?;
                append(packet, len, tag.as_ref())
            }
            Suite::Cm(cm) => {
                let CounterMode { key, salt, mac } = cm.as_ref();
                key.less_safe_encrypt(plain.get_mut(header..)?, counter(salt, ssrc, index)).ok()?;
                let tag = authenticate(mac, plain, &rollover.to_be_bytes());
                append(packet, len, &tag)
            }
        }
    }

    /// Encrypt the RTCP compound `packet[..len]` and append index and tag. The length on the wire.
    ///
    /// # Errors
    /// `Malformed` when it is shorter than a header, there is no room, or all indices are used up.
    pub fn seal_rtcp(&mut self, packet: &mut [u8], len: usize) -> Result<usize, Drop> {
        if self.rtcp_index > MOST_RTCP {
            return Err(Drop::Malformed);
        }
        let index = self.rtcp_index;
        self.rtcp_index += 1;
        self.try_seal_rtcp(packet, len, index).ok_or(Drop::Malformed)
    }

    fn try_seal_rtcp(&mut self, packet: &mut [u8], len: usize, index: u32) -> Option<usize> {
        let plain = packet.get_mut(..len)?;
        let ssrc = u32_at(plain, 4)?;
        let word = (ENCRYPTED | index).to_be_bytes();
        match &self.rtcp {
            Suite::Gcm { key, salt } => {
                let (header, payload) = plain.split_at_mut_checked(RTCP_HEADER)?;
                let mut aad = [0; RTCP_HEADER + 4];
                aad[..RTCP_HEADER].copy_from_slice(header);
                aad[RTCP_HEADER..].copy_from_slice(&word);
                let nonce = nonce(salt, ssrc, index >> 16, index as u16);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), payload).ok()?;
                let end = append(packet, len, tag.as_ref())?;
                append(packet, end, &word)
            }
            Suite::Cm(cm) => {
                let CounterMode { key, salt, mac } = cm.as_ref();
                let payload = plain.get_mut(RTCP_HEADER..)?;
                key.less_safe_encrypt(payload, counter(salt, ssrc, u64::from(index))).ok()?;
                let tag = authenticate(mac, plain, &word);
                let end = append(packet, len, &word)?;
                append(packet, end, &tag)
            }
        }
    }
}

/// What we receive with.
pub struct Opener {
    rtp: Suite,
    pub(super) rtcp: Suite,
    streams: Streams<16>,
    pub(super) reports: Streams<2>,
}

impl Opener {
    /// None if a length is not the profile's.
    #[must_use]
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Option<Self> {
        if (key.len(), salt.len()) != profile.lengths() {
            return None;
        }
        Some(Self {
            rtp: Suite::new(profile, key, salt, 0)?,
            rtcp: Suite::new(profile, key, salt, 3)?,
            streams: Streams::new(),
            reports: Streams::new(),
        })
    }

    /// Decrypt a datagram in place; `datagram[..n]` is the plaintext then. State changes only for what
    /// is authentic; what is not leaves rubbish in the datagram.
    ///
    /// # Errors
    /// `TooShort`, `Malformed` (too long), `Authentication`, `Replayed`.
    pub fn open_rtp(&mut self, datagram: &mut [u8]) -> Result<usize, Drop> {
        in_bounds(datagram)?;
        let ssrc = u32_at(datagram, 8).ok_or(Drop::TooShort)?;
        let sequence = u16_at(datagram, 2).ok_or(Drop::TooShort)?;
        let known = self.streams.find(ssrc);
        let index = known.map_or(u64::from(sequence), |window| window.estimate(sequence));
        // Cheap, and before any cryptography: a flood of replays costs little.
        if known.is_some_and(|window| !window.is_new(index)) {
            return Err(Drop::Replayed);
        }
        let length = self.try_open_rtp(datagram, ssrc, index).ok_or(Drop::Authentication)?;
        self.streams.at(ssrc).mark(index);
        Ok(length)
    }

    fn try_open_rtp(&self, datagram: &mut [u8], ssrc: u32, index: u64) -> Option<usize> {
        let header = header_length(datagram)?;
        let rollover = (index >> 16) as u32;
        match &self.rtp {
            Suite::Gcm { key, salt } => {
                let nonce = nonce(salt, ssrc, rollover, index as u16);
                let (header, sealed) = datagram.split_at_mut_checked(header)?;
                let plain = key.open_in_place(nonce, Aad::from(&*header), sealed).ok()?.len();
                header.len().checked_add(plain)
            }
            Suite::Cm(cm) => {
                let CounterMode { key, salt, mac } = cm.as_ref();
                let end = datagram.len().checked_sub(CM_TAG)?;
                let (sealed, tag) = datagram.split_at_mut_checked(end)?;
                let payload = header..;
                verify_slices_are_equal(&authenticate(mac, sealed, &rollover.to_be_bytes()), tag).ok()?;
                key.less_safe_encrypt(sealed.get_mut(payload)?, counter(salt, ssrc, index)).ok()?;
                Some(end)
            }
        }
    }

    /// As `open_rtp`, for RTCP. What its sender left unencrypted is taken too, if authentic.
    ///
    /// # Errors
    /// As `open_rtp`.
    pub fn open_rtcp(&mut self, datagram: &mut [u8]) -> Result<usize, Drop> {
        in_bounds(datagram)?;
        let ssrc = u32_at(datagram, 4).ok_or(Drop::TooShort)?;
        let behind = if matches!(self.rtcp, Suite::Gcm { .. }) { 0 } else { CM_TAG };
        let end = datagram.len().checked_sub(4 + behind).ok_or(Drop::Authentication)?;
        let word = u32_at(datagram, end).ok_or(Drop::Authentication)?;
        let index = u64::from(word & MOST_RTCP);
        if self.reports.find(ssrc).is_some_and(|window| !window.is_new(index)) {
            return Err(Drop::Replayed);
        }
        let length = self.try_open_rtcp(datagram, ssrc, word).ok_or(Drop::Authentication)?;
        self.reports.at(ssrc).mark(index);
        Ok(length)
    }

    fn try_open_rtcp(&self, datagram: &mut [u8], ssrc: u32, word: u32) -> Option<usize> {
        let (encrypted, index) = (word & ENCRYPTED != 0, word & MOST_RTCP);
        match &self.rtcp {
            Suite::Gcm { key, salt } => {
                let nonce = nonce(salt, ssrc, index >> 16, index as u16);
                let end = datagram.len().checked_sub(4)?;
                let (body, _) = datagram.split_at_mut_checked(end)?;
                let (header, sealed) = body.split_at_mut_checked(RTCP_HEADER)?;
                if encrypted {
                    let mut aad = [0; RTCP_HEADER + 4];
                    aad[..RTCP_HEADER].copy_from_slice(header);
                    aad[RTCP_HEADER..].copy_from_slice(&word.to_be_bytes());
                    let plain = key.open_in_place(nonce, Aad::from(aad), sealed).ok()?.len();
                    return RTCP_HEADER.checked_add(plain);
                }
                // All of it is associated data, with the index behind it (RFC 7714 §9.3).
                let plain = end.checked_sub(GCM_TAG)?;
                let mut aad = [0; LONGEST];
                let aad = aad.get_mut(..plain.checked_add(4)?)?;
                let (clear, tag) = body.split_at_mut_checked(plain)?;
                aad.get_mut(..plain)?.copy_from_slice(clear);
                aad.get_mut(plain..)?.copy_from_slice(&word.to_be_bytes());
                key.open_in_place(nonce, Aad::from(&*aad), tag).ok()?;
                (plain >= RTCP_HEADER).then_some(plain)
            }
            Suite::Cm(cm) => {
                let CounterMode { key, salt, mac } = cm.as_ref();
                let (sealed, tag) = datagram.split_at_mut_checked(datagram.len().checked_sub(CM_TAG)?)?;
                verify_slices_are_equal(&authenticate(mac, sealed, &[]), tag).ok()?;
                let end = sealed.len().checked_sub(4)?;
                let payload = sealed.get_mut(RTCP_HEADER..end)?;
                if encrypted {
                    key.less_safe_encrypt(payload, counter(salt, ssrc, u64::from(index))).ok()?;
                }
                Some(end)
            }
        }
    }
}

fn in_bounds(datagram: &[u8]) -> Result<(), Drop> {
    match datagram.len() {
        ..RTP_HEADER => Err(Drop::TooShort),
        RTP_HEADER..=LONGEST => Ok(()),
        _ => Err(Drop::Malformed),
    }
}

#[cfg(test)]
#[path = "srtp_tests.rs"]
mod tests;
