//! Header extensions by meaning: found once under the publisher's ids, written for each sink under its own.
//!
//! The order of a route's elements never changes, and those that every packet has come with every
//! packet, so that packets of one frame keep equal sizes.

use super::Seconds;
use super::av1;
use super::rtp::{Header, ONE_BYTE, Span, TWO_BYTE};
use crate::command::Extensions;

/// Those that are the same for every sink, up to their ids, in the order in which they are written.
const COPIED: usize = 5;

/// Places of what is copied to every sink.
pub type Copied = [Option<Span>; COPIED];

/// Where the dependency descriptor is among [`Copied`].
pub const DEPENDENCY: usize = 3;
/// Where the audio level is.
pub const LOUDNESS: usize = 0;

fn copied(ids: &Extensions) -> [u8; COPIED] {
    [ids.audio_level, ids.video_orientation, ids.playout_delay, ids.dependency_descriptor, ids.abs_capture_time]
}

/// Find one element; of two with one id, the last.
#[must_use]
pub fn find<'a>(header: &Header, data: &'a [u8], id: u8) -> Option<&'a [u8]> {
    let found = header.elements(data).filter(|element| id != 0 && element.0 == id).last();
    found.map(|(_, place)| place.of(data))
}

/// Find what the packet path wants of every packet: what is copied, and the transport-wide number.
#[must_use]
pub fn read(header: &Header, data: &[u8], ids: &Extensions) -> (Copied, Option<u16>) {
    let wanted = copied(ids);
    let mut found = Copied::default();
    let mut number = None;
    for (id, place) in header.elements(data) {
        if id == 0 {
            continue;
        }
        for (slot, wanted) in found.iter_mut().zip(wanted) {
            if id == wanted {
                *slot = Some(place);
            }
        }
        if id == ids.transport_cc {
            number = place.of(data).try_into().ok().map(u16::from_be_bytes);
        }
    }
    (found, number)
}

/// The extension block of one packet for one sink, measured before it is written.
#[derive(Debug)]
pub struct Block<'a> {
    /// What is copied, and the mid before it.
    elements: [(u8, &'a [u8]); COPIED + 1],
    count: usize,
    /// Ids of what the route makes itself, which is as long in every packet; 0 for none.
    send_time: u8,
    number: u8,
    own: &'a Own,
    one_byte: bool,
    /// Bytes of all, without their heads.
    body: usize,
    /// The place of a dependency descriptor whose frame gets another number.
    renumbered: Option<(usize, u16)>,
}

/// The parts of a block that the route makes itself.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    pub(crate) send_time: [u8; 3],
    pub(crate) number: [u8; 2],
    /// For the dependency descriptor, None to leave it as it is.
    pub(crate) frame: Option<u16>,
}

impl Own {
    /// The 24 bits of abs-send-time (6.18 fixed point seconds), the transport-wide number, and an AV1 frame's number.
    #[must_use]
    pub fn new(now: Seconds, number: u16, frame: Option<u16>) -> Self {
        let [_, _, _, _, _, a, b, c] = ((now * 262_144.0) as i64).to_be_bytes();
        Self { send_time: [a, b, c], number: number.to_be_bytes(), frame }
    }
}

impl<'a> Block<'a> {
    /// What a sink with these ids gets of a packet's bytes.
    #[must_use]
    pub fn new(ids: &Extensions, mid: &'a [u8], own: &'a Own, copies: &Copied, data: &'a [u8]) -> Self {
        let (send_time, number) = (ids.abs_send_time, ids.transport_cc);
        let mut block = Self {
            elements: [(0, &[]); COPIED + 1],
            count: 0,
            send_time,
            number,
            own,
            one_byte: send_time < 15 && number < 15,
            body: if send_time == 0 { 0 } else { own.send_time.len() } + if number == 0 { 0 } else { own.number.len() },
            renumbered: None,
        };
        block.add(ids.mid, mid);
        for (which, (id, place)) in copied(ids).into_iter().zip(copies).enumerate() {
            let Some(place) = place else { continue };
            if block.add(id, place.of(data)) && which == DEPENDENCY {
                block.renumbered = own.frame.map(|frame| (block.count - 1, frame));
            }
        }
        block
    }

    /// False where the sink has no use for it.
    fn add(&mut self, id: u8, value: &'a [u8]) -> bool {
        let Some(place) = self.elements.get_mut(self.count).filter(|_| id != 0) else { return false };
        *place = (id, value);
        self.count += 1;
        self.one_byte &= id < 15 && (1..=16).contains(&value.len());
        self.body += value.len();
        true
    }

    /// Bytes of the block: 0 when it has no element, else a multiple of four.
    #[must_use]
    pub fn length(&self) -> usize {
        let count = self.count + usize::from(self.send_time != 0) + usize::from(self.number != 0);
        if count == 0 {
            return 0;
        }
        let heads = if self.one_byte { count } else { 2 * count };
        4 + (heads + self.body).next_multiple_of(4)
    }

    /// Write it, in the one-byte form where it fits (RFC 8285 §4.1.2), into [`Block::length`] bytes.
    pub fn write(&self, out: &mut [u8]) {
        let words = (self.length() / 4).saturating_sub(1) as u16;
        let Some((head, mut rest)) = out.split_first_chunk_mut::<4>() else { return };
        let [p1, p2] = if self.one_byte { ONE_BYTE } else { TWO_BYTE }.to_be_bytes();
        let [w1, w2] = words.to_be_bytes();
        *head = [p1, p2, w1, w2];
        for (at, &(id, value)) in self.elements.iter().take(self.count).enumerate() {
            let Some(after) = self.head(id, value.len(), rest) else { return };
            let Some((place, after)) = after.split_at_mut_checked(value.len()) else { return };
            place.copy_from_slice(value);
            if let Some((_, frame)) = self.renumbered.filter(|renumbered| renumbered.0 == at) {
                av1::renumber(place, frame);
            }
            rest = after;
        }
        if let Some(rest) = self
            .made(self.send_time, self.own.send_time, rest)
            .and_then(|rest| self.made(self.number, self.own.number, rest))
        {
            rest.fill(0);
        }
    }

    /// Write an element's id and length; what is left of the room.
    fn head<'b>(&self, id: u8, size: usize, out: &'b mut [u8]) -> Option<&'b mut [u8]> {
        let size = size as u8;
        if self.one_byte {
            let (head, rest) = out.split_first_mut()?;
            *head = id << 4 | (size.wrapping_sub(1) & 0x0F);
            return Some(rest);
        }
        let (head, rest) = out.split_first_chunk_mut()?;
        *head = [id, size];
        Some(rest)
    }

    /// Write an element of the route's own, if the sink takes it; what is left of the room.
    fn made<'b, const SIZE: usize>(&self, id: u8, value: [u8; SIZE], out: &'b mut [u8]) -> Option<&'b mut [u8]> {
        if id == 0 {
            return Some(out);
        }
        let (place, rest) = self.head(id, SIZE, out)?.split_first_chunk_mut()?;
        *place = value;
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::bytes::{Draw, packet};
    use crate::media::rtp::parse;

    fn ids() -> Extensions {
        Extensions { mid: 1, audio_level: 5, video_orientation: 2, dependency_descriptor: 7, ..Extensions::default() }
    }

    fn written(ids: &Extensions, source: &Extensions, data: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let (copies, _) = read(&parse(data).unwrap(), data, source);
        let own = Own::new(1.5, 0x1234, None);
        let block = Block::new(ids, b"w0", &own, &copies, data);
        let mut out = packet(1, 1, 1, 1, b"", &[], false, 0);
        out.resize(12 + block.length(), 0xEE);
        if block.length() > 0 {
            out[0] |= 0x10;
            block.write(&mut out[12..]);
        }
        let header = parse(&out).unwrap();
        assert_eq!(header.payload.len, 0);
        header.elements(&out).map(|(id, place)| (id, place.of(&out).to_vec())).collect()
    }

    #[test]
    fn elements_are_carried_under_the_sinks_ids() {
        let source = Extensions { mid: 4, audio_level: 9, playout_delay: 3, dependency_descriptor: 12, ..ids() };
        let data = packet(
            1,
            1,
            1,
            1,
            b"",
            &[(4, b"0"), (12, b"dep"), (3, b"delay"), (9, b"a"), (9, b"b"), (6, b"?")],
            false,
            0,
        );
        let sink = Extensions { abs_send_time: 3, transport_cc: 14, ..ids() };
        let expected =
            [(1, b"w0".to_vec()), (5, b"b".to_vec()), (7, b"dep".to_vec()), (3, vec![6, 0, 0]), (14, vec![0x12, 0x34])];
        assert_eq!(written(&sink, &source, &data), expected);
        assert_eq!(written(&Extensions::default(), &source, &data), []);
    }

    #[test]
    fn a_frame_gets_another_number_in_its_dependency_descriptor_and_nothing_else_does() {
        let source = Extensions { abs_capture_time: 3, ..ids() };
        for (descriptor, expected) in
            [(&b"\xC1\x00\x07\x80structure"[..], &b"\xC1\x12\x34\x80structure"[..]), (b"\xC1\x00", b"\xC1\x00")]
        {
            let data = packet(1, 1, 1, 1, b"", &[(7, descriptor), (3, b"captured")], false, 0);
            let (copies, _) = read(&parse(&data).unwrap(), &data, &source);
            let own = Own::new(0.0, 0, Some(0x1234));
            for dependency_descriptor in [0, 7, 20] {
                let sink = Extensions { dependency_descriptor, abs_capture_time: 3, ..Extensions::default() };
                let block = Block::new(&sink, b"", &own, &copies, &data);
                let mut out = packet(1, 1, 1, 1, b"", &[], false, 0);
                out[0] |= 0x10;
                out.resize(12 + block.length(), 0xEE);
                block.write(&mut out[12..]);
                let header = parse(&out).unwrap();
                let found = find(&header, &out, dependency_descriptor);
                assert_eq!(found, Some(expected).filter(|_| dependency_descriptor != 0));
                assert_eq!(find(&header, &out, 3), Some(&b"captured"[..]));
            }
        }
    }

    #[test]
    fn what_is_long_or_has_a_high_id_takes_the_two_byte_form() {
        let long: Vec<u8> = (0..40).collect();
        let mut data = packet(1, 1, 1, 1, b"", &[], false, 0);
        data[0] |= 0x10;
        data.extend([0x10, 0, 0, 11, 7, 40]);
        data.extend(&long);
        data.extend([0, 0]);
        assert_eq!(written(&ids(), &ids(), &data), [(1, b"w0".to_vec()), (7, long)]);
        let high = Extensions { mid: 200, ..Extensions::default() };
        assert_eq!(written(&high, &ids(), &data), [(200, b"w0".to_vec())]);
    }

    #[test]
    fn whatever_comes_is_carried_whole() {
        let mut draw = Draw::new(11);
        for _ in 0..5000 {
            let value = draw.bytes(15);
            let values = [(5, [&value[..], b"x"].concat()), (2, vec![draw.next() as u8]), (7, vec![1; 16])];
            let pick: Vec<_> = values.iter().filter(|_| draw.below(2) == 0).map(|(id, v)| (*id, &v[..])).collect();
            let data = packet(1, 1, 1, 1, b"", &pick, false, 0);
            let out = written(&ids(), &ids(), &data);
            assert_eq!(out.len(), 1 + pick.len());
            assert!(pick.iter().all(|(id, value)| out.contains(&(*id, value.to_vec()))));
        }
    }

    #[test]
    fn the_transport_wide_number_has_two_bytes() {
        let source = Extensions { transport_cc: 3, ..Extensions::default() };
        for (value, number) in [(&b"\x01\x02"[..], Some(0x102)), (b"\x01", None), (b"\x01\x02\x03", None)] {
            let data = packet(1, 1, 1, 1, b"", &[(3, value)], false, 0);
            assert_eq!(read(&parse(&data).unwrap(), &data, &source).1, number);
        }
        let data = packet(1, 1, 1, 1, b"", &[(3, b"ab")], false, 0);
        let header = parse(&data).unwrap();
        assert_eq!(read(&header, &data, &Extensions::default()).1, None);
        assert_eq!((find(&header, &data, 3), find(&header, &data, 0)), (Some(&b"ab"[..]), None));
    }
}
