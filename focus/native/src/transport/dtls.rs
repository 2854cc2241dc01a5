//! The DTLS 1.2 handshake over dimpl, and the keys that come out of it (RFC 5764).
//!
//! A peer is who its certificate's fingerprint says, in both roles, and nothing of the
//! session is handed out before that is checked (security D4). Every fault ends the session.
//!
//! dimpl cannot be told which SRTP profile to prefer: as server it takes AES-256-GCM, then
//! AES-128-GCM, then AES-CM of what the client offers, as client it offers them in that order.

use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use bytes::Bytes;
use dimpl::{KeyingMaterial, Output, SrtpProfile};

use super::identity::Identity;
use super::srtp::{Opener, Profile, Sealer};

/// Of one record, or of the peer's certificate (security D3).
const LONGEST: usize = 1 << 14;
/// dimpl names a time in years when it waits for nothing.
const NEVER: Duration = Duration::from_secs(24 * 3_600);

/// Digests of the peer's certificate, as signalled: hash name in lower case, and bytes.
#[derive(Clone, Debug)]
pub(super) struct Fingerprints(Vec<(&'static digest::Algorithm, Vec<u8>)>);

impl Fingerprints {
    /// Those with a hash that is strong enough. None if there is no such.
    pub(super) fn new(signalled: &[(String, Vec<u8>)]) -> Option<Self> {
        let known = |name: &str| match name {
            "sha-256" => Some(&digest::SHA256),
            "sha-384" => Some(&digest::SHA384),
            "sha-512" => Some(&digest::SHA512),
            _ => None,
        };
        let strong: Vec<_> = signalled.iter().filter_map(|(name, value)| Some((known(name)?, value.clone()))).collect();
        (!strong.is_empty()).then_some(Self(strong))
    }

    /// Whether all of them are this certificate's: with two hashes known, both must match.
    fn are_of(&self, certificate: &[u8]) -> bool {
        self.0.iter().all(|(hash, value)| digest::digest(hash, certificate).as_ref() == value)
    }
}

/// What a handshake or its session brought.
pub(super) enum Said {
    /// The peer is who it should be; the keys for media.
    Connected(Box<(Sealer, Opener)>),
    /// One record of application data.
    Data(Bytes),
    /// The peer said goodbye.
    Closed,
}

/// The session is over; why, does not matter to anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed;

/// One DTLS session.
pub(super) struct Dtls {
    session: dimpl::Dtls,
    active: bool,
    fingerprints: Fingerprints,
    proved: bool,
    /// The handshake is over.
    finished: bool,
    /// The keys have been handed out.
    connected: bool,
    deadline: Option<Instant>,
}

impl Dtls {
    /// `active` is the client, whose first flight is ready to be drained.
    pub(super) fn new(
        now: Instant,
        active: bool,
        identity: &Identity,
        fingerprints: Fingerprints,
    ) -> Result<Self, Failed> {
        let mut session = dimpl::Dtls::new_12(identity.config.clone(), identity.certificate.clone(), now);
        session.set_active(active);
        session.handle_timeout(now).map_err(|_| Failed)?;
        Ok(Self { session, active, fingerprints, proved: false, finished: false, connected: false, deadline: None })
    }

    pub(super) fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<(), Failed> {
        self.session.handle_timeout(now).map_err(|_| Failed)?;
        self.session.handle_packet(datagram).map_err(|_| Failed)
    }

    pub(super) fn timeout(&mut self, now: Instant) -> Result<(), Failed> {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.session.handle_timeout(now).map_err(|_| Failed)?;
        }
        Ok(())
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Application data, as one record. To be drained before the next.
    pub(super) fn send(&mut self, now: Instant, data: &[u8]) -> Result<(), Failed> {
        self.session.handle_timeout(now).map_err(|_| Failed)?;
        self.session.send_application_data(data).map_err(|_| Failed).map(|_| ())
    }

    /// Say goodbye, if anyone listens.
    pub(super) fn close(&mut self) {
        let _ = self.session.close();
    }

    /// Send what is to be sent and hand out what was said.
    pub(super) fn drain(
        &mut self,
        now: Instant,
        mut send: impl FnMut(&[u8]),
        said: &mut Vec<Said>,
    ) -> Result<(), Failed> {
        let mut stack = [0; 2_048];
        let mut heap = Vec::new();
        let mut keys = None;
        loop {
            let buffer = if heap.is_empty() { &mut stack[..] } else { &mut heap[..] };
            match self.session.poll_output(buffer) {
                Output::Packet(datagram) => send(datagram),
                Output::BufferTooSmall { needed } if needed <= LONGEST => heap = vec![0; needed],
                Output::BufferTooSmall { .. } => return Err(Failed),
                Output::PeerCert(certificate) => {
                    if !self.fingerprints.are_of(certificate) {
                        return Err(Failed);
                    }
                    self.proved = true;
                }
                Output::KeyingMaterial(material, profile) => keys = Some((material, profile)),
                Output::Connected => self.finished = true,
                Output::ApplicationData(data) if self.connected => said.push(Said::Data(Bytes::copy_from_slice(data))),
                Output::ApplicationData(_) => {}
                Output::CloseNotify => said.push(Said::Closed),
                Output::Timeout(at) => {
                    self.deadline = Some(at).filter(|at| at.saturating_duration_since(now) < NEVER);
                    break;
                }
                _ => {}
            }
            if let (true, Some((material, profile))) = (self.finished, keys.as_ref()) {
                if !self.proved {
                    return Err(Failed);
                }
                said.push(Said::Connected(Box::new(self.keys(material, *profile).ok_or(Failed)?)));
                (self.connected, keys) = (true, None);
            }
        }
        // Without a profile for media there is no use in the session.
        if self.finished && !self.connected { Err(Failed) } else { Ok(()) }
    }

    /// Client's key, server's key, client's salt, server's salt (RFC 5764 §4.2).
    fn keys(&self, material: &KeyingMaterial, profile: SrtpProfile) -> Option<(Sealer, Opener)> {
        let profile = match profile {
            SrtpProfile::AEAD_AES_128_GCM => Profile::Gcm128,
            SrtpProfile::AEAD_AES_256_GCM => Profile::Gcm256,
            SrtpProfile::AES128_CM_SHA1_80 => Profile::Sha1_80,
            _ => return None,
        };
        split_keys(material, profile, self.active)
    }
}

/// The keys of the end that is `active`.
pub(super) fn split_keys(material: &[u8], profile: Profile, active: bool) -> Option<(Sealer, Opener)> {
    let (key, salt) = profile.lengths();
    let (client_key, rest) = material.split_at_checked(key)?;
    let (server_key, rest) = rest.split_at_checked(key)?;
    let (client_salt, rest) = rest.split_at_checked(salt)?;
    let server_salt = rest.get(..salt)?;
    let client = (client_key, client_salt);
    let server = (server_key, server_salt);
    let (ours, theirs) = if active { (client, server) } else { (server, client) };
    Some((Sealer::new(profile, ours.0, ours.1)?, Opener::new(profile, theirs.0, theirs.1)?))
}
