//! One peer's transport: ICE, DTLS, SRTP and the data channel, brought up in that order.
//!
//! Datagrams go in, decrypted packets, texts and other datagrams come out. It has no socket,
//! no clock and no thread: time, chance and where to send are arguments. What the packets
//! mean is the business of `media`, which datagram is whose that of `engine`.
//!
//! Differs from the reference engine: a handshake may begin on any address that has proved
//! itself, before the peer has chosen one; and its first datagrams are kept while the address
//! they came from is still being asked, so that a reordered check costs no retransmission.

#![forbid(unsafe_code)]

mod ahead;
mod boundary;
mod dcep;
mod dtls;
mod generation;
mod ice;
mod identity;
mod pace;
#[cfg(any(test, feature = "probes"))]
pub(crate) mod probes;
pub(crate) mod replay;
mod sctp;
pub mod srtp;
mod streams;
pub mod stun;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

pub use self::boundary::{Chance, Out, SystemChance, TransportEvent};
pub use self::identity::Identity;
pub use self::srtp::TAIL;

use self::dtls::{Dtls, Failed, Fingerprints, Said};
use self::generation::BRING_UP;
use self::ice::Ice;
use self::sctp::{Sctp, Told};
use self::srtp::{Opener, Sealer};
use crate::command::{Credentials, Drop, Loss, Open, Role};

/// Datagrams of a handshake kept for an address that is being asked, and the length of each.
const EARLY: usize = 4;

/// A peer's transport, for its whole life.
pub struct Transport {
    role: Role,
    ice: Ice,
    /// What a handshake needs that has not begun.
    waiting: Option<(Identity, Fingerprints)>,
    /// Apart, as all that is large and seldom looked at: what each packet needs of many peers is to lie close together.
    dtls: Option<Box<Dtls>>,
    /// By when the handshake must be over.
    dtls_until: Option<Instant>,
    early: Vec<(SocketAddr, Vec<u8>)>,
    /// Where the handshake goes as long as the peer has chosen no path.
    answer_to: Option<SocketAddr>,
    /// It has chosen one.
    chosen: bool,
    media: Option<Box<(Sealer, Opener)>>,
    sctp: Option<Box<Sctp>>,
    events: VecDeque<TransportEvent>,
    ended: bool,
}

impl Transport {
    /// A transport that looks for its peer. Without a usable fingerprint it is lost at once.
    ///
    /// # Errors
    /// A sentence, when the machine denies what is needed.
    pub fn new(now: Instant, open: &Open, identity: &Identity, chance: Box<dyn Chance + Send>) -> Result<Self, String> {
        let waiting = Fingerprints::new(&open.fingerprints).map(|prints| (identity.clone(), prints));
        let (local, remote) = (open.local.clone(), open.remote.clone());
        let mut made = Self {
            role: open.role,
            ice: Ice::new(now, open.role, local, remote, &open.candidates, chance),
            waiting,
            dtls: None,
            dtls_until: None,
            early: Vec::new(),
            answer_to: None,
            chosen: false,
            media: None,
            sctp: open.sctp_port.map(|port| Box::new(Sctp::new(port, open.max_message))),
            events: VecDeque::new(),
            ended: false,
        };
        if made.waiting.is_none() {
            made.end(Loss::Dtls);
        }
        Ok(made)
    }

    /// Take in a STUN datagram (first byte 0 to 3). Only a check of the peer's is answered.
    ///
    /// # Errors
    /// `Malformed`, `Authentication`, `TooFast`: nothing was answered and nothing has changed.
    pub fn stun(&mut self, now: Instant, from: SocketAddr, datagram: &[u8], out: &mut dyn Out) -> Result<(), Drop> {
        if self.ended {
            return Err(Drop::Authentication);
        }
        self.ice.receive(now, from, datagram, out)?;
        self.contained(out, |this, out| {
            this.advance(now, out);
            this.pump(now, out)
        })
    }

    /// Take in a DTLS datagram (first byte 20 to 63); only from an address that has proved itself
    /// (security D1, D2).
    ///
    /// # Errors
    /// `Authentication` for a stranger; else what was dropped of the data channel's messages.
    pub fn dtls(&mut self, now: Instant, from: SocketAddr, datagram: &[u8], out: &mut dyn Out) -> Result<(), Drop> {
        if self.ended {
            return Err(Drop::Authentication);
        }
        if self.ice.is_valid(from) {
            return self.contained(out, |this, out| this.shake(now, from, datagram, out));
        }
        if !self.ice.is_known(from) || self.early.len() >= EARLY || datagram.len() > srtp::LONGEST {
            return Err(Drop::Authentication);
        }
        self.early.push((from, datagram.to_vec()));
        Ok(())
    }

    /// Decrypt an RTP datagram in place; `datagram[..n]` is the packet then. On an error the datagram
    /// may hold rubbish.
    ///
    /// # Errors
    /// `TooShort`, `Malformed`, `Authentication`, `Replayed`.
    pub fn open_rtp(&mut self, datagram: &mut [u8]) -> Result<usize, Drop> {
        self.media.as_mut().ok_or(Drop::Authentication)?.1.open_rtp(datagram)
    }

    /// As `open_rtp`, for RTCP.
    ///
    /// # Errors
    /// As `open_rtp`.
    pub fn open_rtcp(&mut self, datagram: &mut [u8]) -> Result<usize, Drop> {
        self.media.as_mut().ok_or(Drop::Authentication)?.1.open_rtcp(datagram)
    }

    /// Encrypt `packet[..len]` in place, with `TAIL` bytes of room behind it. `index` is the extended
    /// sequence number on the packet's SSRC and must not come twice. The length on the wire.
    ///
    /// # Errors
    /// `SinkNotConnected`, or `Malformed` for what is no packet.
    pub fn seal_rtp(&mut self, packet: &mut [u8], len: usize, index: u64) -> Result<usize, Drop> {
        self.media.as_mut().ok_or(Drop::SinkNotConnected)?.0.seal_rtp(packet, len, index)
    }

    /// As `seal_rtp`, for a compound of RTCP.
    ///
    /// # Errors
    /// As `seal_rtp`.
    pub fn seal_rtcp(&mut self, packet: &mut [u8], len: usize) -> Result<usize, Drop> {
        self.media.as_mut().ok_or(Drop::SinkNotConnected)?.0.seal_rtcp(packet, len)
    }

    /// Send a text on the data channel, now or once it opens.
    ///
    /// # Errors
    /// `MessageQueueFull` when too much waits already, or the peer takes no text of this length.
    pub fn send_text(&mut self, now: Instant, text: &str, urgent: bool, out: &mut dyn Out) -> Result<(), Drop> {
        let sctp = self.sctp.as_mut().filter(|_| !self.ended).ok_or(Drop::MessageQueueFull)?;
        sctp.say(text, urgent)?;
        self.contained(out, |this, out| this.pump(now, out))
    }

    /// Take new ICE credentials; DTLS and what it carries go on (RFC 8445 §9). The old path carries
    /// until there is a new one. Said again, it changes nothing.
    pub fn restart(&mut self, now: Instant, local: Credentials, remote: Credentials, candidates: &[SocketAddr]) {
        if !self.ended {
            self.ice.restart(now, local, remote, candidates);
        }
    }

    /// Do what is due. To be called at `deadline`; earlier does no harm.
    pub fn timeout(&mut self, now: Instant, out: &mut dyn Out) {
        if self.ended {
            return;
        }
        self.ice.timeout(now, out);
        if self.ice.lost() {
            return self.end(Loss::Ice);
        }
        if self.dtls_until.is_some_and(|until| until <= now) {
            return self.end(Loss::Dtls);
        }
        let _ = self.contained(out, |this, out| {
            if this.dtls.as_mut().is_some_and(|dtls| dtls.timeout(now).is_err()) {
                this.fail();
            }
            if let Some(sctp) = this.sctp.as_mut() {
                sctp.timeout(now);
            }
            this.pump(now, out)
        });
    }

    /// When `timeout` has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.ended {
            return None;
        }
        let dtls = self.dtls.as_ref().and_then(|dtls| dtls.deadline());
        let sctp = self.sctp.as_ref().and_then(|sctp| sctp.deadline());
        [self.ice.deadline(), dtls, self.dtls_until, sctp].into_iter().flatten().min()
    }

    /// What has happened since. Nothing has before there is a path, but that all is lost.
    pub fn event(&mut self) -> Option<TransportEvent> {
        if !self.chosen && !self.ended {
            return None;
        }
        self.events.pop_front()
    }

    /// Where media goes now; learnt only from authenticated checks. None without consent.
    #[must_use]
    pub fn path(&self) -> Option<SocketAddr> {
        self.ice.path().filter(|_| !self.ended)
    }

    /// Whether a datagram from there may be the peer's: a check of ours was answered from there.
    /// For all but STUN, what comes from elsewhere is to be dropped (security N8).
    #[must_use]
    pub fn is_valid(&self, from: SocketAddr) -> bool {
        !self.ended && self.ice.is_valid(from)
    }

    /// Whether an authenticated check came from there. DTLS from such an address may be handed in before
    /// it is valid; it is kept until it is.
    #[must_use]
    pub fn is_known(&self, from: SocketAddr) -> bool {
        !self.ended && (self.ice.is_known(from) || self.ice.is_valid(from))
    }

    /// Whether media may flow.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.media.is_some()
    }

    /// Say goodbye and be silent from then on. No event follows.
    pub fn close(&mut self, now: Instant, out: &mut dyn Out) {
        let _ = self.contained(out, |this, out| {
            if let Some(sctp) = this.sctp.as_mut() {
                sctp.close();
            }
            let _ = this.pump(now, out);
            if let Some(dtls) = this.dtls.as_mut() {
                dtls.close();
            }
            this.pump(now, out)
        });
        self.end(Loss::Closed);
        self.events.clear();
        (self.dtls, self.sctp) = (None, None);
    }

    /// Begin the handshake once there is a path, and let in what came too early.
    fn advance(&mut self, now: Instant, out: &mut dyn Out) {
        if self.ice.path().is_some() && !self.chosen {
            (self.chosen, self.answer_to) = (true, None);
            self.begin(now);
        }
        if self.early.iter().any(|(from, _)| self.ice.is_valid(*from)) {
            for (from, datagram) in std::mem::take(&mut self.early) {
                if self.ice.is_valid(from) && !self.ended {
                    let _ = self.shake(now, from, &datagram, out);
                }
            }
        }
    }

    fn begin(&mut self, now: Instant) {
        let Some((identity, prints)) = self.waiting.take() else { return };
        self.dtls_until = now.checked_add(BRING_UP);
        match Dtls::new(now, self.role == Role::Caller, &identity, prints) {
            Ok(dtls) => self.dtls = Some(Box::new(dtls)),
            Err(Failed) => self.fail(),
        }
    }

    /// A DTLS datagram from a good address.
    fn shake(&mut self, now: Instant, from: SocketAddr, datagram: &[u8], out: &mut dyn Out) -> Result<(), Drop> {
        if self.dtls.is_none() && self.role == Role::Answerer {
            self.begin(now);
        }
        self.answer_to = Some(from).filter(|_| !self.chosen);
        let Some(dtls) = self.dtls.as_mut() else { return Err(Drop::Authentication) };
        if dtls.receive(now, datagram).is_err() {
            self.fail();
            return Err(Drop::Malformed);
        }
        self.pump(now, out)
    }

    /// Carry between DTLS, SCTP and the path until all is said.
    fn pump(&mut self, now: Instant, out: &mut dyn Out) -> Result<(), Drop> {
        let to = self.ice.path().or(self.answer_to);
        let mut send = |datagram: &[u8]| {
            if let Some(to) = to {
                out.send(to, datagram);
            }
        };
        let mut outcome = Ok(());
        let mut said = Vec::new();
        loop {
            let Some(dtls) = self.dtls.as_mut() else { return outcome };
            if dtls.drain(now, &mut send, &mut said).is_err() {
                self.fail();
                return outcome;
            }
            for said in said.drain(..) {
                match said {
                    Said::Connected(keys) => {
                        self.media = Some(keys);
                        self.dtls_until = None;
                        self.tell(TransportEvent::Connected);
                        if let Some(sctp) = self.sctp.as_mut().filter(|_| self.role == Role::Caller) {
                            sctp.connect();
                        }
                    }
                    Said::Data(packet) => {
                        if let Some(sctp) = self.sctp.as_mut() {
                            sctp.receive(now, packet);
                        }
                    }
                    Said::Closed => self.end(Loss::Closed),
                }
            }
            if self.media.is_none() {
                return outcome;
            }
            let Some(sctp) = self.sctp.as_mut() else { return outcome };
            let (told, packets) = (sctp.told(), sctp.packets(now));
            for told in told {
                match told {
                    Told::Opened => self.tell(TransportEvent::Opened),
                    Told::Message(text) => self.tell(TransportEvent::Message(text)),
                    Told::Dropped(drop) => outcome = Err(drop),
                    Told::Closed => self.end(Loss::Closed),
                }
            }
            let Some(dtls) = self.dtls.as_mut() else { return outcome };
            for packet in &packets {
                if dtls.send(now, packet).is_err() || dtls.drain(now, &mut send, &mut said).is_err() {
                    self.fail();
                    return outcome;
                }
            }
            if packets.is_empty() && said.is_empty() {
                return outcome;
            }
        }
    }

    /// Run what parses the peer's bytes in libraries: a panic there costs this peer only.
    fn contained(
        &mut self,
        out: &mut dyn Out,
        work: impl FnOnce(&mut Self, &mut dyn Out) -> Result<(), Drop>,
    ) -> Result<(), Drop> {
        catch_unwind(AssertUnwindSafe(|| work(self, out))).unwrap_or_else(|_| {
            self.sctp = None;
            self.fail();
            Err(Drop::Malformed)
        })
    }

    /// The session is of no more use, not even to say goodbye.
    fn fail(&mut self) {
        self.dtls = None;
        self.end(Loss::Dtls);
    }

    fn end(&mut self, loss: Loss) {
        self.tell(TransportEvent::Lost(loss));
        self.ended = true;
        self.media = None;
        self.early.clear();
    }

    fn tell(&mut self, event: TransportEvent) {
        if !self.ended {
            self.events.push_back(event);
        }
    }
}

#[cfg(test)]
mod tests;
