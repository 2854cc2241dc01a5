//! The book of one stream that a synthetic client receives: is every packet there, once, in order, and as it was sent.
//!
//! Most of it is told by the clear header, so that a crowd can leave most packets sealed; what was
//! opened proves that keys, numbers and bytes are right. Time is an argument.

use super::check::Check;
use super::histogram::Histogram;
use super::mark::Mark;
use crate::command::{Codec, Extensions};
use crate::media::Seconds;
use crate::media::missing::Missing;
use crate::media::reception::Reception;
use crate::media::rtp::Header;
use crate::transport::replay::Window;

/// What a client is to receive.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Watch {
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
    pub codec: Codec,
    pub extensions: Extensions,
}

/// What was seen of a stream since its book was begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets, each once, by whatever way they came.
    pub received: u64,
    /// Numbers that never came.
    pub lost: u64,
    /// Packets that had come before.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub late: u64,
    /// Packets in order whose timestamp was behind that of the one before.
    pub backwards: u64,
    /// Packets that were opened.
    pub opened: u64,
    /// Of these: not what was sent.
    pub corrupt: u64,
    /// Of these: in another order than they were sent in.
    pub misplaced: u64,
    /// Packets that came as a repair.
    pub repaired: u64,
    /// Packets asked for again.
    pub asked: u64,
    /// From the publisher's sending to the kernel's receiving, of those opened, in microseconds.
    pub latency: Histogram,
    /// From the first packet of one frame to the first of the next, in microseconds.
    pub gap: Histogram,
}

impl Counts {
    /// Add another book's.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.lost += other.lost;
        self.duplicates += other.duplicates;
        self.late += other.late;
        self.backwards += other.backwards;
        self.opened += other.opened;
        self.corrupt += other.corrupt;
        self.misplaced += other.misplaced;
        self.repaired += other.repaired;
        self.asked += other.asked;
        self.latency.add(&other.latency);
        self.gap.add(&other.gap);
    }
}

/// See the file's head.
#[derive(Debug)]
pub struct Book {
    /// What it is of.
    pub watch: Watch,
    /// For receiver reports.
    pub reception: Reception,
    /// What to ask for.
    pub missing: Missing,
    /// What is demanded of a track of people; marked streams have none.
    pub check: Option<Box<Check>>,
    window: Window<16>,
    counts: Counts,
    /// The lowest number that counts.
    first: Option<i64>,
    highest: Option<i64>,
    timestamp: u32,
    /// Arrival of the newest frame, in nanoseconds.
    stamp: Option<u64>,
    /// Publisher, number there and number here of the last one opened.
    opened: Option<(u32, u32, i64)>,
}

impl Book {
    /// Nothing came yet.
    #[must_use]
    pub fn new(watch: Watch) -> Self {
        Self {
            reception: Reception::new(watch.ssrc, watch.codec.clock),
            watch,
            missing: Missing::default(),
            check: None,
            window: Window::new(),
            counts: Counts::default(),
            first: None,
            highest: None,
            timestamp: 0,
            stamp: None,
            opened: None,
        }
    }

    /// Count from here on.
    pub fn begin(&mut self) {
        self.counts = Counts::default();
        self.first = self.highest.map(|highest| highest + 1);
        self.stamp = None;
    }

    /// What was seen since `begin`.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let due = self.first.zip(self.highest).map_or(0, |(first, highest)| highest - first + 1);
        Counts { lost: u64::try_from(due).unwrap_or(0).saturating_sub(self.counts.received), ..self.counts.clone() }
    }

    /// A packet's clear header, and when the kernel got it in nanoseconds. Its extended number; None when it was there
    /// before or is far too late.
    pub fn take(&mut self, header: &Header, stamp: u64, now: Seconds) -> Option<i64> {
        let Some(index) = self.reception.count(header.sequence, header.timestamp, now) else {
            self.counts.late += 1;
            return None;
        };
        if !self.admit(index, now) {
            return None;
        }
        if self.highest.is_none_or(|highest| index > highest) {
            let another = self.highest.is_none() || header.timestamp != self.timestamp;
            if another && let Some(before) = self.stamp.replace(stamp) {
                self.counts.gap.note(stamp.saturating_sub(before) / 1000);
            }
            if self.highest.is_some() && (header.timestamp.wrapping_sub(self.timestamp) as i32) < 0 {
                self.counts.backwards += 1;
            }
            (self.highest, self.timestamp) = (Some(index), header.timestamp);
        } else {
            self.counts.late += 1;
        }
        Some(index)
    }

    /// A repair of this sequence number came. Its extended number; None when the packet was there.
    pub fn repaired(&mut self, sequence: u16, now: Seconds) -> Option<i64> {
        let index = self.reception.place(sequence)?;
        // What is there already came to ask what the link carries.
        let new = self.window.is_new(index.unsigned_abs()) && self.admit(index, now);
        self.counts.repaired += u64::from(new);
        new.then_some(index)
    }

    fn admit(&mut self, index: i64, now: Seconds) -> bool {
        let number = index.unsigned_abs();
        if !self.window.is_new(number) {
            self.counts.duplicates += 1;
            return false;
        }
        self.window.mark(number);
        if self.watch.rtx_ssrc.is_some() {
            self.missing.seen(index, now);
        }
        self.counts.received += u64::from(*self.first.get_or_insert(index) <= index);
        true
    }

    /// What was in a packet that was opened; None for what is not as it was sent.
    pub fn looked(&mut self, index: i64, mark: Option<Mark>, stamp: u64) {
        self.counts.opened += 1;
        let Some(Mark { publisher, number, sent }) = mark else {
            self.counts.corrupt += 1;
            return;
        };
        self.counts.latency.note(stamp.saturating_sub(sent) / 1000);
        // After a switch to another layer the numbers are another encoder's.
        if let Some((_, then, there)) = self.opened.filter(|opened| opened.0 == publisher) {
            let (sent, came) = (i64::from(number.wrapping_sub(then) as i32), index - there);
            self.counts.misplaced += u64::from(sent.signum() != came.signum());
        }
        self.opened = Some((publisher, number, index));
    }

    /// Packets so far: every so many are opened.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.counts.received
    }

    /// Put into `asking` what to ask for now.
    pub fn due(&mut self, now: Seconds, asking: &mut Vec<i64>) {
        self.missing.due(now, asking);
        self.counts.asked += asking.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Format;

    fn book() -> Book {
        let codec = Codec { format: Format::Vp8, clock: 90_000, pt: 96, rtx_pt: Some(97) };
        Book::new(Watch { ssrc: 7, rtx_ssrc: Some(8), codec, extensions: Extensions::default() })
    }

    fn header(number: u32) -> Header {
        let mut header = Header::default();
        (header.ssrc, header.sequence, header.timestamp) = (7, number as u16, number.wrapping_mul(300));
        header
    }

    fn seen(numbers: &[u32]) -> Counts {
        let mut book = book();
        for (place, number) in numbers.iter().enumerate() {
            book.take(&header(*number), place as u64 * 1000, 0.0);
        }
        book.counts()
    }

    #[test]
    fn a_whole_stream_over_its_wrap_has_no_fault() {
        let found = seen(&(65_000..67_000).collect::<Vec<_>>());
        assert_eq!((found.received, found.lost, found.late, found.backwards), (2000, 0, 0, 0));
        assert_eq!(found.gap.greatest(), 1);
    }

    #[test]
    fn a_gap_is_from_frame_to_frame_whatever_comes_within_one() {
        let mut book = book();
        for (number, frame, millis) in [(1, 0, 0), (2, 0, 5), (3, 1, 30), (4, 1, 90), (5, 2, 150)] {
            let mut header = header(number);
            header.timestamp = frame * 3000;
            book.take(&header, millis * 1_000_000, 0.0);
        }
        assert_eq!(book.counts().gap.greatest(), 120_000);
        assert!((30_000..32_000).contains(&book.counts().gap.quantile(0.5)));
    }

    #[test]
    fn what_is_missing_twice_or_late_is_told_apart() {
        let found = seen(&[10, 11, 13, 13, 12, 15]);
        assert_eq!((found.received, found.lost, found.duplicates, found.late), (5, 1, 1, 1));
    }

    #[test]
    fn a_timestamp_that_runs_backwards_is_noticed() {
        let mut book = book();
        book.take(&header(5), 0, 0.0);
        let mut wrong = header(6);
        wrong.timestamp = 5 * 300 - 1;
        book.take(&wrong, 0, 0.0);
        assert_eq!(book.counts().backwards, 1);
    }

    #[test]
    fn a_repair_fills_its_gap_once() {
        let mut book = book();
        book.take(&header(1), 0, 0.0);
        book.take(&header(3), 0, 0.0);
        let mut asking = vec![];
        book.due(0.0, &mut asking);
        assert_eq!(asking.iter().map(|index| *index as u16).collect::<Vec<_>>(), [2]);
        for sequence in [2, 2, 1] {
            book.repaired(sequence, 0.1);
        }
        let found = book.counts();
        assert_eq!((found.received, found.lost, found.repaired, found.asked, found.duplicates), (3, 0, 1, 1, 0));
    }

    #[test]
    fn what_was_opened_must_be_whole_and_in_the_order_in_which_it_was_sent() {
        let mut book = book();
        let mark = |publisher, number| Some(Mark { publisher, number, sent: 1_000_000 });
        for (index, mark) in [(1, mark(1, 50)), (3, mark(1, 52)), (4, mark(2, 9)), (5, None), (6, mark(2, 8))] {
            book.looked(index, mark, 3_000_000);
        }
        let found = book.counts();
        assert_eq!((found.opened, found.corrupt, found.misplaced), (5, 1, 1));
        assert_eq!(found.latency.quantile(0.5), 2000);
    }

    #[test]
    fn a_book_that_is_begun_anew_counts_from_there() {
        let mut book = book();
        for number in [1, 2, 3, 5] {
            book.take(&header(number), 0, 0.0);
        }
        book.begin();
        assert_eq!(book.counts(), Counts::default());
        book.take(&header(4), 0, 0.0);
        book.take(&header(6), 0, 0.0);
        let found = book.counts();
        assert_eq!((found.received, found.lost, found.late), (1, 0, 1));
    }
}
