//! The one data channel of a peer: SCTP over sctp-proto, DCEP by hand (RFC 8831, RFC 8832).
//!
//! It takes and gives SCTP packets and texts. A peer that breaks the rules loses its
//! association, and with it the transport; what it may make us keep is bounded.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationError, AssociationHandle, Chunks, ClientConfig, DEFAULT_SCTP_PORT, DatagramEvent, Endpoint,
    EndpointConfig, Event, Payload, PayloadProtocolIdentifier as Kind, ReliabilityType, ServerConfig, StreamEvent,
    StreamId, TransportConfig,
};

use super::dcep::{self, Dcep};
use crate::command::Drop;

/// Bytes of one message that we take and announce.
pub(super) const LONGEST_MESSAGE: usize = 262_144;
/// Bytes of messages that are not complete yet.
const WINDOW: u32 = 1 << 20;
/// Pieces that such messages may be in; a full window of honest ones is 1,000, and each costs sorting.
const MOST_PIECES: u32 = 4_096;
/// SCTP streams in use by one peer; a client has one.
const MOST_STREAMS: usize = 64;
/// Messages kept for a channel that is not open yet.
const QUEUED: usize = 256;
/// Bytes kept for a channel, open or not.
const BUFFERED: usize = 4 * LONGEST_MESSAGE;
/// Payload of a DATA chunk: with SCTP, DTLS and UDP around it, it fits 1,200 bytes.
const PAYLOAD: u32 = 1_100;
/// The DTLS client has the even streams (RFC 8832 §6), and a caller is that.
const OURS: StreamId = 0;
const LABEL: &str = "datachannel";
/// There is one remote end, so that its address does not matter.
const REMOTE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_SCTP_PORT);

/// What the peer did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Opened,
    Message(String),
    Dropped(Drop),
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Absent,
    /// Ours, not yet acknowledged.
    Offered,
    Open(StreamId),
    /// It was open once; another one is not taken.
    Shut,
}

/// The association of one peer.
pub(super) struct Sctp {
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    transport: Arc<TransportConfig>,
    max_message: usize,
    channel: Channel,
    queue: VecDeque<String>,
    queued_bytes: usize,
    /// DATA chunks taken in and not read yet, with those that came twice since nothing was incomplete last.
    pieces: u32,
    told: Vec<Told>,
}

impl Sctp {
    /// `port` and `max_message` (0 for any) are the peer's, as signalled.
    pub(super) fn new(port: u16, max_message: u32) -> Self {
        let max_message = if max_message == 0 { u32::MAX } else { max_message };
        let transport = TransportConfig::default()
            .with_max_receive_buffer_size(WINDOW)
            // Longer ones than we take are read and dropped by name; only what never ends, ends the peer.
            .with_max_receive_message_size(u32::MAX)
            .with_max_send_message_size(max_message)
            // The path decides when a peer is gone, not SCTP.
            .with_max_init_retransmits(None)
            .with_rto_initial_ms(1_000)
            .with_rto_min_ms(400)
            .with_rto_max_ms(10_000)
            .with_remote_port(if port == 0 { DEFAULT_SCTP_PORT } else { port });
        let transport = Arc::new(transport);
        let mut server = ServerConfig::new();
        server.transport = transport.clone();
        let mut endpoint = EndpointConfig::new();
        endpoint.max_payload_size(PAYLOAD);
        Self {
            endpoint: Endpoint::new(Arc::new(endpoint), Some(Arc::new(server))),
            association: None,
            transport,
            max_message: max_message as usize,
            channel: Channel::Absent,
            queue: VecDeque::new(),
            queued_bytes: 0,
            pieces: 0,
            told: Vec::new(),
        }
    }

    /// Begin the association and the channel, as a caller. (sctp-proto reads the clock here, for its first timer.)
    pub(super) fn connect(&mut self) {
        let mut config = ClientConfig::new();
        config.transport = self.transport.clone();
        self.association = self.endpoint.connect(config, REMOTE).ok();
        self.endpoint.reject_new_associations();
        self.channel = Channel::Offered;
    }

    /// Take in one SCTP packet.
    pub(super) fn receive(&mut self, now: Instant, packet: Bytes) {
        self.pieces = self.pieces.saturating_add(pieces(&packet));
        if self.pieces > MOST_PIECES {
            self.told.extend([Told::Dropped(Drop::MessageOverrun), Told::Closed]);
            return;
        }
        // A repeated INIT that comes late would end the association in sctp-proto (RFC 9260 §5.2.2 answers it).
        let begun = self.association.as_ref().is_some_and(|(_, association)| !association.is_handshaking());
        if begun && chunks(&packet).any(|(kind, _)| kind == 1) {
            return;
        }
        match self.endpoint.handle(now, REMOTE, None, None, packet) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                self.association = Some((handle, association));
                self.endpoint.reject_new_associations();
            }
            Some((known, DatagramEvent::AssociationEvent(event))) => {
                if let Some((_, association)) = self.association.as_mut().filter(|(handle, _)| *handle == known) {
                    association.handle_event(event);
                }
            }
            None => self.told.push(Told::Dropped(Drop::Malformed)),
        }
        self.listen();
    }

    /// What has been told since.
    pub(super) fn told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    /// Packets to send now.
    pub(super) fn packets(&mut self, now: Instant) -> Vec<Bytes> {
        let mut packets = Vec::new();
        while let Some(sent) = self.association.as_mut().and_then(|(_, association)| association.poll_transmit(now)) {
            if let Payload::RawEncode(raw) = sent.payload {
                packets.extend(raw);
            }
        }
        if packets.iter().any(|packet| acknowledges_all(packet)) {
            self.pieces = 0;
        }
        packets
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        if let Some((_, association)) = self.association.as_mut()
            && association.poll_timeout().is_some_and(|due| due <= now)
        {
            association.handle_timeout(now);
            self.listen();
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.association.as_ref().and_then(|(_, association)| association.poll_timeout())
    }

    /// Send a text, now or once the channel opens. What is `urgent` may overtake what was said before (RFC 8831 §6.1).
    ///
    /// # Errors
    /// `MessageQueueFull` when too much waits already, or the peer takes no text of this length.
    pub(super) fn say(&mut self, text: &str, urgent: bool) -> Result<(), Drop> {
        if text.len() > self.max_message {
            return Err(Drop::MessageQueueFull);
        }
        match self.channel {
            Channel::Open(stream) => self.write(stream, text, urgent),
            Channel::Absent | Channel::Offered => {
                if self.queue.len() >= QUEUED || self.queued_bytes.saturating_add(text.len()) > BUFFERED {
                    return Err(Drop::MessageQueueFull);
                }
                self.queued_bytes += text.len();
                self.queue.push_back(text.to_owned());
                Ok(())
            }
            Channel::Shut => Err(Drop::MessageQueueFull),
        }
    }

    fn write(&mut self, stream: StreamId, text: &str, urgent: bool) -> Result<(), Drop> {
        let full = Drop::MessageQueueFull;
        let (_, association) = self.association.as_mut().ok_or(full)?;
        let mut stream = association.stream(stream).map_err(|_| full)?;
        if stream.buffered_amount().map_err(|_| full)? > BUFFERED {
            return Err(full);
        }
        stream.set_reliability_params(urgent, ReliabilityType::Reliable, 0).map_err(|_| full)?;
        // Nothing can be sent as no bytes; the kind says that the one byte is none (RFC 8831 §6.6).
        let (bytes, kind) =
            if text.is_empty() { (&[0][..], Kind::StringEmpty) } else { (text.as_bytes(), Kind::String) };
        stream.write_with_ppi(bytes, kind).map_err(|_| full).map(|_| ())
    }

    /// Say goodbye, if anyone listens.
    pub(super) fn close(&mut self) {
        if let Some((_, association)) = self.association.as_mut() {
            let _ = association.shutdown();
        }
    }

    /// Hear what the association has to say.
    fn listen(&mut self) {
        while let Some(event) = self.association.as_mut().and_then(|(_, association)| association.poll()) {
            match event {
                Event::Connected if self.channel == Channel::Offered => self.offer(),
                Event::Stream(StreamEvent::Opened { .. }) => {
                    let Some((_, association)) = self.association.as_mut() else { return };
                    while association.accept_stream().is_some() {}
                    if association.stream_ids().len() > MOST_STREAMS {
                        self.told.extend([Told::Dropped(Drop::MessageOverrun), Told::Closed]);
                        return;
                    }
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(StreamEvent::Finished { id }) if self.channel == Channel::Open(id) => {
                    self.channel = Channel::Shut;
                }
                Event::AssociationLost { reason } => {
                    if reason == AssociationError::ReceiveBufferExhausted {
                        self.told.push(Told::Dropped(Drop::MessageOverrun));
                    }
                    self.told.push(Told::Closed);
                }
                Event::HandshakeFailed { .. } => self.told.push(Told::Closed),
                _ => {}
            }
        }
    }

    fn offer(&mut self) {
        if let Some((_, association)) = self.association.as_mut()
            && let Ok(mut stream) = association.open_stream(OURS, Kind::String)
        {
            let _ = stream.write_with_ppi(&dcep::open(LABEL), Kind::Dcep);
        }
    }

    /// Read all complete messages of a stream.
    fn read(&mut self, id: StreamId) {
        loop {
            let Some((_, association)) = self.association.as_mut() else { return };
            let Ok(mut stream) = association.stream(id) else { return };
            let Ok(Some(message)) = stream.read_sctp() else { return };
            self.pieces = self.pieces.saturating_sub(message.chunks.len() as u32);
            match message.ppi {
                Kind::Dcep => self.establish(id, &message),
                _ if self.channel != Channel::Open(id) => {}
                Kind::StringEmpty => self.told.push(Told::Message(String::new())),
                Kind::String if message.len() <= LONGEST_MESSAGE => {
                    let text = String::from_utf8(whole(&message));
                    self.told.push(text.map_or(Told::Dropped(Drop::Malformed), Told::Message));
                }
                Kind::String => self.told.push(Told::Dropped(Drop::Malformed)),
                _ => self.told.push(Told::Dropped(Drop::MessageBinary)),
            }
        }
    }

    /// The first channel is the one; others are accepted and not listened to.
    fn establish(&mut self, id: StreamId, message: &Chunks) {
        // A label and a protocol name of 65,535 bytes each at most.
        let read = if message.len() <= 1 << 18 { dcep::read(&whole(message)) } else { None };
        match read {
            Some(Dcep::Open(reliability)) => {
                let Some((_, association)) = self.association.as_mut() else { return };
                let Ok(mut stream) = association.stream(id) else { return };
                let _ = stream.write_with_ppi(&dcep::ack(), Kind::Dcep);
                if self.channel == Channel::Absent {
                    let _ = stream.set_reliability_params(reliability.unordered, reliability.kind, reliability.limit);
                    self.opened(id);
                }
            }
            Some(Dcep::Ack) if self.channel == Channel::Offered && id == OURS => self.opened(id),
            Some(Dcep::Ack) => {}
            None => self.told.push(Told::Dropped(Drop::Malformed)),
        }
    }

    fn opened(&mut self, id: StreamId) {
        self.channel = Channel::Open(id);
        self.told.push(Told::Opened);
        self.queued_bytes = 0;
        for text in std::mem::take(&mut self.queue) {
            if let Err(drop) = self.write(id, &text, false) {
                self.told.push(Told::Dropped(drop));
            }
        }
    }
}

fn whole(message: &Chunks) -> Vec<u8> {
    let mut bytes = vec![0; message.len()];
    let read = message.read(&mut bytes).unwrap_or(0);
    bytes.truncate(read);
    bytes
}

/// Type and body of each chunk of a packet (RFC 9260 §3.2), as far as it is well formed.
fn chunks(packet: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = packet.get(12..).unwrap_or_default();
    std::iter::from_fn(move || {
        let kind = *rest.first()?;
        let length = usize::from(u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?));
        let body = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

/// How many DATA and I-DATA chunks a packet has.
fn pieces(packet: &[u8]) -> u32 {
    chunks(packet).filter(|(kind, _)| matches!(kind, 0 | 64)).count() as u32
}

/// Whether a SACK of ours says that nothing incomplete is kept: a full window, and no gaps.
fn acknowledges_all(packet: &[u8]) -> bool {
    chunks(packet).any(|(kind, body)| {
        kind == 3 && body.get(4..8) == Some(&WINDOW.to_be_bytes()) && body.get(8..10) == Some(&[0, 0])
    })
}

#[cfg(test)]
#[path = "sctp_tests.rs"]
mod tests;
