//! What a synthetic packet carries, so that whoever gets it knows whose it is, how old, and whether a bit of it changed.
//!
//! The body is filler that follows from the packet's number, then a trailer of five words. What an engine may rewrite
//! (a payload descriptor) is not part of the body.

/// Bytes of the trailer: publisher, number, time sent (two words), bytes of the body, check.
pub const TRAILER: usize = 24;

/// See the file's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The SSRC under which it was published.
    pub publisher: u32,
    /// How many packets its stream had before it.
    pub number: u32,
    /// When it was handed over for sending: nanoseconds since the Unix epoch.
    pub sent: u64,
}

/// Mixes words: not against an attacker, only against mistakes.
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

fn digest(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state = bytes.len() as u64;
    let mut take = |word: [u8; 8]| state = (state.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(MIX);
    words.iter().for_each(|word| take(*word));
    let mut last = [0; 8];
    if let Some(place) = last.get_mut(..rest.len()) {
        place.copy_from_slice(rest);
        take(last);
    }
    (state >> 32) as u32
}

/// Fill a whole body. One that is shorter than a trailer stays as it is, and is nobody's.
pub fn write(body: &mut [u8], mark: Mark) {
    let length = body.len();
    let Some((filler, trailer)) = length.checked_sub(TRAILER).and_then(|at| body.split_at_mut_checked(at)) else {
        return;
    };
    let mut word = u64::from(mark.number).wrapping_mul(MIX);
    for part in filler.chunks_mut(8) {
        word = word.wrapping_add(MIX);
        part.copy_from_slice(word.to_le_bytes().get(..part.len()).unwrap_or_default());
    }
    let [p1, p2, p3, p4] = mark.publisher.to_be_bytes();
    let [n1, n2, n3, n4] = mark.number.to_be_bytes();
    let (sent, covered) = trailer.split_at_mut(16);
    sent[..8].copy_from_slice(&[p1, p2, p3, p4, n1, n2, n3, n4]);
    sent[8..].copy_from_slice(&mark.sent.to_be_bytes());
    covered[..4].copy_from_slice(&(length as u32).to_be_bytes());
    let check = digest(body.get(..length - 4).unwrap_or_default());
    if let Some(place) = body.get_mut(length - 4..) {
        place.copy_from_slice(&check.to_be_bytes());
    }
}

/// Read the mark at a payload's end; None when anything in its body is not as it was written.
#[must_use]
pub fn read(payload: &[u8]) -> Option<Mark> {
    let trailer: &[u8; TRAILER] = payload.last_chunk()?;
    let word = |at: usize| Some(u32::from_be_bytes(*trailer.get(at..)?.first_chunk()?));
    let length = usize::try_from(word(16)?).ok()?;
    let body = payload.get(payload.len().checked_sub(length)?..)?;
    if digest(body.get(..length.checked_sub(4)?)?) != word(20)? {
        return None;
    }
    Some(Mark { publisher: word(0)?, number: word(4)?, sent: u64::from(word(8)?) << 32 | u64::from(word(12)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { publisher: 7, number: 0x0102_0304, sent: 1_700_000_000_123_456_789 };

    #[test]
    fn a_mark_is_read_behind_whatever_an_engine_put_before_it() {
        for length in [TRAILER, 100, 1163] {
            let mut payload = vec![0xEE; 6 + length];
            write(&mut payload[6..], MARK);
            assert_eq!(read(&payload), Some(MARK));
            assert_eq!(read(&payload[6..]), Some(MARK));
            assert_eq!(read(&payload[7..]), None, "cut");
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let mut body = vec![0; 200];
        write(&mut body, MARK);
        for at in 0..body.len() {
            let mut changed = body.clone();
            changed[at] ^= 1;
            assert_eq!(read(&changed), None, "{at}");
        }
        assert_eq!(read(&body[..TRAILER - 1]), None);
        let mut short = [0; TRAILER - 1];
        write(&mut short, MARK);
        assert_eq!(short, [0; TRAILER - 1]);
    }
}
