//! Data channel establishment (RFC 8832 §5): the two messages of it.

use sctp_proto::ReliabilityType;

const ACK: u8 = 0x02;
const OPEN: u8 = 0x03;
const UNORDERED: u8 = 0x80;

/// How a channel is to be written to, in sctp-proto's words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reliability {
    pub(super) unordered: bool,
    pub(super) kind: ReliabilityType,
    /// Retransmissions or milliseconds, as `kind` says.
    pub(super) limit: u32,
}

/// A message of the protocol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Dcep {
    /// The label and protocol mean nothing to us: there is one channel.
    Open(Reliability),
    Ack,
}

/// Read a message. None if it is neither, or its lengths do not add up.
pub(super) fn read(bytes: &[u8]) -> Option<Dcep> {
    match *bytes.first()? {
        ACK => Some(Dcep::Ack),
        OPEN => {
            let limit = u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?);
            let length = |at: usize| Some(usize::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
            if bytes.len() != 12 + length(8)? + length(10)? {
                return None;
            }
            let channel = *bytes.get(1)?;
            let kind = match channel & !UNORDERED {
                0 => ReliabilityType::Reliable,
                1 => ReliabilityType::Rexmit,
                2 => ReliabilityType::Timed,
                _ => return None,
            };
            Some(Dcep::Open(Reliability { unordered: channel & UNORDERED != 0, kind, limit }))
        }
        _ => None,
    }
}

/// A reliable, ordered channel of this label.
pub(super) fn open(label: &str) -> Vec<u8> {
    let mut made = vec![OPEN, 0, 0, 0, 0, 0, 0, 0];
    made.extend_from_slice(&(label.len() as u16).to_be_bytes());
    made.extend_from_slice(&[0, 0]);
    made.extend_from_slice(label.as_bytes());
    made
}

/// The channel is accepted.
pub(super) fn ack() -> [u8; 1] {
    [ACK]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_and_their_cut_twins_are_not() {
        let reliable = Reliability { unordered: false, kind: ReliabilityType::Reliable, limit: 0 };
        assert_eq!(read(&open("datachannel")), Some(Dcep::Open(reliable)));
        assert_eq!(read(&ack()), Some(Dcep::Ack));
        for (channel, unordered, kind) in [
            (0x01, false, ReliabilityType::Rexmit),
            (0x82, true, ReliabilityType::Timed),
            (0x80, true, ReliabilityType::Reliable),
        ] {
            let message = [3, channel, 0, 9, 0, 0, 1, 0, 0, 1, 0, 2, b'l', b'p', b'p'];
            assert_eq!(read(&message), Some(Dcep::Open(Reliability { unordered, kind, limit: 256 })));
            for cut in 0..message.len() {
                assert_eq!(read(&message[..cut]), None);
            }
            let mut twin = message;
            twin[9] = 0xFF;
            assert_eq!(read(&twin), None);
        }
        assert_eq!(read(&[3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(read(&[0]), None);
    }
}
