//! The header of a stream's packets: made once, and where in it what changes is.

use super::sender::Stream;
use crate::media::extensions::Own;
use crate::media::rtp::ONE_BYTE;

/// See the file's head.
#[derive(Debug)]
pub struct Head {
    /// With zeros where numbers go.
    pub bytes: Vec<u8>,
    /// Where the audio level is.
    pub level: Option<usize>,
    send_time: Option<usize>,
    transport: Option<usize>,
}

impl Head {
    /// Of a stream, or of its repairs: then with their SSRC, payload type and id of the rid.
    #[must_use]
    pub fn new(stream: &Stream, ssrc: u32, pt: u8, rid: u8) -> Self {
        let mut bytes = vec![0x90, pt, 0, 0, 0, 0, 0, 0];
        bytes.extend(ssrc.to_be_bytes());
        bytes.extend(ONE_BYTE.to_be_bytes());
        bytes.extend([0, 0]);
        let ids = &stream.extensions;
        let mut add = |id: u8, value: &[u8]| {
            if id == 0 || value.is_empty() {
                return None;
            }
            bytes.push(id << 4 | (value.len() as u8 - 1) & 0x0F);
            bytes.extend(value);
            Some(bytes.len() - value.len())
        };
        add(ids.mid, stream.mid.as_bytes().get(..16).unwrap_or(stream.mid.as_bytes()));
        add(rid, stream.rid.as_bytes().get(..16).unwrap_or(stream.rid.as_bytes()));
        // Marked as voice (RFC 6464 §3).
        let level = add(ids.audio_level, &[0x80 | stream.level & 0x7F]);
        let send_time = add(ids.abs_send_time, &[0; 3]);
        let transport = add(ids.transport_cc, &[0; 2]);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let words = (bytes.len() as u16 - 16) / 4;
        bytes[14..16].copy_from_slice(&words.to_be_bytes());
        Self { bytes, level, send_time, transport }
    }

    /// Write it with its numbers; what follows it.
    pub fn write<'a>(&self, out: &'a mut [u8], sequence: u16, timestamp: u32, marker: bool, own: &Own) -> &'a mut [u8] {
        let Some((head, rest)) = out.split_at_mut_checked(self.bytes.len()) else { return &mut [] };
        head.copy_from_slice(&self.bytes);
        head[1] |= u8::from(marker) << 7;
        head[2..4].copy_from_slice(&sequence.to_be_bytes());
        head[4..8].copy_from_slice(&timestamp.to_be_bytes());
        for (at, value) in [(self.send_time, &own.send_time[..]), (self.transport, &own.number[..])] {
            if let Some(place) = at.and_then(|at| head.get_mut(at..at + value.len())) {
                place.copy_from_slice(value);
            }
        }
        rest
    }
}
