//! One synthetic client but for its transport: what it sends, what it receives, and what it tells the far end of both.
//!
//! It answers as a browser does: transport-wide feedback ten times a second, receiver and sender
//! reports each second, NACKs for what is missing, packets again and keyframes for who asks.

use std::collections::HashSet;
use std::time::Instant;

use super::book::{Book, Watch};
use super::check::Check;
use super::mark;
use super::order::Packet;
use super::sender::{Content, Sender, Stream};
use crate::command::Drop;
use crate::media::extensions::{Own, find};
use crate::media::rtcp::{self, Block, MOST_BLOCKS, Report};
use crate::media::rtp::{self, Header};
use crate::media::twcc::{self, Arrivals};
use crate::media::{PeerKey, Seconds, Sinks};
use crate::transport::srtp::Opener;
use crate::wires::Wires;

/// Visits between two packets of transport-wide feedback: 100 ms, as libwebrtc has it at a megabit or more.
const FEEDBACK: u64 = 5;
/// Visits between two reports: a second.
const SECOND: u64 = 50;
/// The sender of reports where nothing is sent: any value serves.
const NOBODY: u32 = 1;

/// In a second.
const NANOS: i64 = 1_000_000_000;

/// A moment on all clocks that a crowd needs.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Monotonic.
    pub now: Instant,
    /// The crowd's zero.
    pub epoch: Instant,
    /// Nanoseconds since the Unix epoch.
    pub wall: u64,
}

impl Moment {
    /// Since the crowd's zero.
    #[must_use]
    pub fn seconds(&self) -> Seconds {
        self.now.saturating_duration_since(self.epoch).as_secs_f64()
    }

    /// When the kernel got what it stamped so, since the crowd's zero: the crowd may be late to read it.
    fn seconds_at(&self, stamp: u64) -> Seconds {
        let ahead = stamp.wrapping_sub(self.wall).cast_signed().clamp(-NANOS, NANOS);
        self.seconds() + ahead as f64 / NANOS as f64
    }
}

/// What a client counts beside its books.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Of streams that it has no book for, or from where its peer is not.
    pub strays: u64,
    /// Packets that could not be opened.
    pub unopened: u64,
    /// What its peer told of its packets in transport-wide feedback.
    pub told_arrived: u64,
    /// See `told_arrived`.
    pub told_missing: u64,
    /// Packets of transport-wide feedback and of reports that it sent.
    pub feedback: u64,
    /// Packets of media and of reports that came, whatever became of them.
    pub came: u64,
    /// Of streams that were forgotten: some may still be on their way.
    pub after_end: u64,
    /// Of a checked stream, with a payload type that is not its.
    pub wrong_payload_type: u64,
    /// Without a payload: of a checked stream, and probes.
    pub padding: u64,
    /// Transport-wide feedback about a stream that is not its own: Chromium ignores it.
    pub stranger_feedback: u64,
    /// Compounds of RTCP that end in what cannot be read.
    pub malformed: u64,
}

/// See the file's head.
pub struct Member {
    key: PeerKey,
    /// What it sends.
    pub senders: Vec<Sender>,
    /// What it receives.
    pub books: Vec<Book>,
    /// A stream that comes from elsewhere, sealed with a key of its own: the bare loop's.
    bare: Option<(Book, Opener)>,
    /// See `Tally`.
    pub tally: Tally,
    /// SSRCs of streams that were forgotten.
    gone: HashSet<u32>,
    arrivals: Arrivals,
    /// Transport-wide number of the next packet.
    next: u16,
    visits: u64,
    /// One packet in so many is opened.
    opened: u64,
}

impl Member {
    /// One that does nothing yet, and opens one packet in `opened`.
    #[must_use]
    pub fn new(key: PeerKey, opened: u64) -> Self {
        Self {
            key,
            senders: Vec::new(),
            books: Vec::new(),
            bare: None,
            tally: Tally::default(),
            gone: HashSet::new(),
            arrivals: Arrivals::default(),
            next: 1,
            // What clients do each second, they do at different times.
            visits: u64::from(key) * 7,
            opened: opened.max(1),
        }
    }

    /// Send a stream, once it is played. Said again with its SSRC, it begins anew.
    pub fn publish(&mut self, now: Instant, stream: Stream, content: Content) {
        self.senders.retain(|sender| sender.stream.ssrc != stream.ssrc);
        self.senders.push(Sender::new(now, stream, content));
    }

    /// Play all streams without end, from one moment on.
    pub fn start(&mut self, now: Instant) {
        self.senders.iter_mut().for_each(|sender| sender.play(now, None));
    }

    /// Begin to talk, or end.
    pub fn talk(&mut self, talking: bool) {
        self.senders.iter_mut().for_each(|sender| sender.talking = talking);
    }

    /// Receive a stream. Said again with its SSRC, its book begins anew.
    pub fn watch(&mut self, watch: Watch, check: Option<Check>) {
        self.books.retain(|book| book.watch.ssrc != watch.ssrc);
        self.gone.remove(&watch.ssrc);
        watch.rtx_ssrc.map(|ssrc| self.gone.remove(&ssrc));
        let mut book = Book::new(watch);
        book.check = check.map(Box::new);
        self.books.push(book);
    }

    /// Receive a stream that comes from elsewhere under a key of its own.
    pub fn watch_bare(&mut self, watch: Watch, opener: Opener) {
        self.bare = Some((Book::new(watch), opener));
    }

    /// Have no book of a stream any more.
    pub fn forget(&mut self, ssrc: u32) {
        let ending = self.books.iter().filter(|book| book.watch.ssrc == ssrc);
        self.gone.extend(ending.flat_map(|book| [Some(ssrc), book.watch.rtx_ssrc]).flatten());
        self.books.retain(|book| book.watch.ssrc != ssrc);
        self.bare = self.bare.take().filter(|(book, _)| book.watch.ssrc != ssrc);
    }

    /// Every book.
    pub fn books(&self) -> impl Iterator<Item = &Book> {
        self.books.iter().chain(self.bare.iter().map(|(book, _)| book))
    }

    /// Begin every book anew, and count anew.
    pub fn begin(&mut self) {
        self.tally = Tally::default();
        self.books.iter_mut().chain(self.bare.iter_mut().map(|(book, _)| book)).for_each(Book::begin);
    }

    /// RTP or RTCP arrived, sealed. `stamp`: when the kernel got it, in nanoseconds since the Unix epoch.
    pub(crate) fn receive(&mut self, at: &Moment, stamp: u64, valid: bool, datagram: &mut [u8], wires: &mut Wires) {
        self.tally.came += 1;
        if rtp::is_rtcp(datagram) {
            let Some(peer) = wires.peer(self.key).filter(|_| valid) else {
                self.tally.strays += 1;
                return;
            };
            let Ok(length) = peer.transport.open_rtcp(datagram) else {
                self.tally.unopened += 1;
                return;
            };
            return self.control(at, datagram.get(..length).unwrap_or_default(), wires);
        }
        let Some(header) = clear(datagram) else {
            self.tally.strays += 1;
            return;
        };
        let now = at.seconds();
        if let Some((book, opener)) = self.bare.as_mut().filter(|(book, _)| book.watch.ssrc == header.ssrc) {
            let due = book.received().is_multiple_of(self.opened);
            let Some(index) = book.take(&header, stamp, now) else { return };
            if due {
                let plain = opener.open_rtp(datagram).ok().and_then(|length| datagram.get(..length));
                book.looked(index, plain.and_then(marked), stamp);
            }
            return;
        }
        let of = |book: &Book| book.watch.ssrc == header.ssrc || book.watch.rtx_ssrc == Some(header.ssrc);
        let (Some(book), true) = (self.books.iter_mut().find(|book| of(book)), valid) else {
            let late = valid && self.gone.contains(&header.ssrc);
            *if late { &mut self.tally.after_end } else { &mut self.tally.strays } += 1;
            return;
        };
        let number = find(&header, datagram, book.watch.extensions.transport_cc);
        if let Some(number) = number.and_then(|bytes| bytes.try_into().ok()) {
            self.arrivals.note(u16::from_be_bytes(number), header.ssrc, at.seconds_at(stamp));
        }
        let Some(peer) = wires.peer(self.key) else { return };
        if book.watch.ssrc != header.ssrc {
            let opened = peer.transport.open_rtp(datagram);
            if matches!(opened, Err(Drop::Replayed)) {
                return;
            }
            let plain = opened.ok().and_then(|length| datagram.get(..length));
            let Some((plain, repair)) = plain.and_then(|plain| Some((plain, rtp::parse(plain)?))) else {
                self.tally.unopened += 1;
                return;
            };
            let Some((original, payload)) = repair.payload.of(plain).split_first_chunk() else {
                self.tally.padding += 1;
                return;
            };
            let index = book.repaired(u16::from_be_bytes(*original), now);
            if let (Some(index), Some(check)) = (index, &mut book.check) {
                let Header { timestamp, marker, .. } = repair;
                check.put(index, Packet { timestamp, marker, payload: payload.to_vec() }, now);
            }
            return;
        }
        if book.check.is_some() && header.payload_type != book.watch.codec.pt {
            self.tally.wrong_payload_type += 1;
            return;
        }
        let due = book.received().is_multiple_of(self.opened);
        let Some(index) = book.take(&header, stamp, now) else { return };
        if let Some(check) = &mut book.check {
            let plain = peer.transport.open_rtp(datagram).ok().and_then(|length| datagram.get(..length));
            let Some((plain, header)) = plain.and_then(|plain| Some((plain, rtp::parse(plain)?))) else {
                self.tally.unopened += 1;
                return;
            };
            let payload = header.payload.of(plain).to_vec();
            self.tally.padding += u64::from(payload.is_empty());
            check.put(index, Packet { timestamp: header.timestamp, marker: header.marker, payload }, now);
            return;
        }
        if due {
            match peer.transport.open_rtp(datagram) {
                Ok(length) => book.looked(index, datagram.get(..length).and_then(marked), stamp),
                Err(Drop::Replayed) => {}
                Err(_) => {
                    self.tally.unopened += 1;
                    book.looked(index, None, stamp);
                }
            }
        }
    }

    fn control(&mut self, at: &Moment, compound: &[u8], wires: &mut Wires) {
        for report in rtcp::parse(compound) {
            match report {
                Report::Nack(ssrc, pairs) => {
                    let Some(place) = self.senders.iter().position(|sender| sender.stream.ssrc == ssrc) else {
                        continue;
                    };
                    for sequence in rtcp::nacked(pairs) {
                        self.resend(at, place, sequence, wires);
                    }
                }
                Report::PictureLoss(ssrc) => self.ask(ssrc),
                Report::FullIntra(entries) => rtcp::first_words(entries).for_each(|ssrc| self.ask(ssrc)),
                Report::Arrivals(ssrc, body) => {
                    let tally = &mut self.tally;
                    let own = self.senders.iter().any(|sender| sender.stream.ssrc == ssrc);
                    tally.stranger_feedback += u64::from(!own);
                    twcc::read(body, |_, arrived| match arrived {
                        Some(_) => tally.told_arrived += 1,
                        None => tally.told_missing += 1,
                    });
                }
                Report::Sender(report) => {
                    if let Some(book) = self.books.iter_mut().find(|book| book.watch.ssrc == report.ssrc) {
                        book.reception.report = Some((report, at.seconds()));
                    }
                }
                Report::Malformed => self.tally.malformed += 1,
                Report::Receiver(_) | Report::Remb(..) | Report::Bye(_) => {}
            }
        }
    }

    fn ask(&mut self, ssrc: u32) {
        if let Some(sender) = self.senders.iter_mut().find(|sender| sender.stream.ssrc == ssrc) {
            sender.ask();
        }
    }

    /// Send the frames that are due.
    pub(crate) fn show(&mut self, at: &Moment, wires: &mut Wires) {
        for sender in &mut self.senders {
            while let Some(numbers) = sender.frame(at.now, at.epoch, at.wall) {
                for number in numbers {
                    let own = Own::new(at.seconds(), self.next, None);
                    let room = sender.room(number).0;
                    let index = sender.index(number);
                    if wires.rtp(self.key, index, room, &mut |out| sender.write(number, &own, out)).is_some() {
                        self.next = self.next.wrapping_add(1);
                    }
                }
            }
        }
    }

    fn resend(&mut self, at: &Moment, place: usize, sequence: u16, wires: &mut Wires) {
        let Some(sender) = self.senders.get_mut(place) else { return };
        let Some((number, index)) = sender.remembered(sequence).and_then(|n| Some((n, sender.again()?))) else {
            return;
        };
        let own = Own::new(at.seconds(), self.next, None);
        let room = sender.room(number).1;
        if wires.rtp(self.key, index, room, &mut |out| sender.rewrite(number, index, &own, out)).is_some() {
            self.next = self.next.wrapping_add(1);
        }
    }

    /// Each 20 ms: tell the far end what is due to be told.
    pub(crate) fn visit(&mut self, at: &Moment, wires: &mut Wires, scratch: &mut Vec<u8>, asking: &mut Vec<i64>) {
        self.visits += 1;
        let (key, now) = (self.key, at.seconds());
        let ours = self.senders.first().map_or(NOBODY, |sender| sender.stream.ssrc);
        for book in &mut self.books {
            book.due(now, asking);
            if !asking.is_empty() {
                scratch.clear();
                rtcp::nack(scratch, ours, book.watch.ssrc, asking);
                wires.rtcp(key, scratch);
            }
            if book.check.as_mut().is_some_and(|check| check.visit(now)) {
                scratch.clear();
                rtcp::picture_loss(scratch, ours, book.watch.ssrc);
                wires.rtcp(key, scratch);
            }
        }
        if self.visits.is_multiple_of(FEEDBACK) {
            self.arrivals.feedback(ours, scratch, |packet| {
                self.tally.feedback += u64::from(wires.rtcp(key, packet).is_some());
            });
        }
        if self.visits.is_multiple_of(SECOND) {
            self.report(at, ours, wires, scratch);
        }
    }

    fn report(&mut self, at: &Moment, ours: u32, wires: &mut Wires, scratch: &mut Vec<u8>) {
        let now = at.seconds();
        for sender in &self.senders {
            let Some((report, packets, octets)) = sender.report(now, at.wall) else { continue };
            scratch.clear();
            rtcp::sender_report(scratch, report, packets, octets);
            rtcp::source_description(scratch, report.ssrc, "synthetic");
            wires.rtcp(self.key, scratch);
        }
        let mut blocks = [Block::default(); MOST_BLOCKS];
        for books in self.books.chunks_mut(MOST_BLOCKS) {
            let mut count = 0;
            for (place, block) in blocks.iter_mut().zip(books.iter_mut().filter_map(|book| book.reception.block(now))) {
                *place = block;
                count += 1;
            }
            if count > 0 {
                scratch.clear();
                rtcp::receiver_report(scratch, ours, blocks.get(..count).unwrap_or_default());
                self.tally.feedback += u64::from(wires.rtcp(self.key, scratch).is_some());
            }
        }
    }
}

/// The header of a sealed packet: its padding is not clear, so it is not looked at.
fn clear(datagram: &mut [u8]) -> Option<Header> {
    let first = *datagram.first()?;
    *datagram.first_mut()? = first & !0x20;
    let header = rtp::parse(datagram);
    *datagram.first_mut()? = first;
    header
}

fn marked(plain: &[u8]) -> Option<mark::Mark> {
    mark::read(rtp::parse(plain)?.payload.of(plain))
}
