//! An association with itself, and what a peer may not do.

use super::*;

struct Pair {
    answerer: Sctp,
    caller: Sctp,
    now: Instant,
    /// All that the caller sent.
    sent: Vec<Bytes>,
}

impl Pair {
    fn new() -> Self {
        let (answerer, mut caller) = (Sctp::new(5000, 262_144), Sctp::new(5000, 0));
        caller.connect();
        let mut pair = Self { answerer, caller, now: Instant::now(), sent: Vec::new() };
        pair.carry();
        pair
    }

    fn connected() -> Self {
        let mut pair = Self::new();
        assert_eq!(pair.caller.told(), [Told::Opened]);
        assert_eq!(pair.answerer.told(), [Told::Opened]);
        pair
    }

    fn carry(&mut self) {
        loop {
            let (up, down) = (self.caller.packets(self.now), self.answerer.packets(self.now));
            if up.is_empty() && down.is_empty() {
                return;
            }
            self.sent.extend(up.iter().cloned());
            up.into_iter().for_each(|packet| self.answerer.receive(self.now, packet));
            down.into_iter().for_each(|packet| self.caller.receive(self.now, packet));
        }
    }

    fn write(&mut self, stream: StreamId, bytes: &[u8], kind: Kind) {
        let (_, association) = self.caller.association.as_mut().unwrap();
        if association.stream(stream).is_err() {
            association.open_stream(stream, kind).unwrap();
        }
        association.stream(stream).unwrap().write_with_ppi(bytes, kind).unwrap();
        self.carry();
    }

    /// A packet as the caller would send it, with one DATA chunk: the `number`th after its last.
    fn forged(&self, number: u32, flags: u8, stream: u16, body: &[u8]) -> Bytes {
        let data = |packet: &&Bytes| packet.get(12) == Some(&0);
        let last = self.sent.iter().rev().find(data).unwrap();
        let (tsn, _) = chunks(last).filter(|(kind, _)| *kind == 0).fold((0, 0), |(highest, count), (_, body)| {
            (highest.max(u32::from_be_bytes(body[..4].try_into().unwrap())), count + 1)
        });
        let mut packet = [&last[..8], &[0; 4], &[0, flags]].concat();
        packet.extend_from_slice(&(16 + body.len() as u16).to_be_bytes());
        packet.extend_from_slice(&tsn.wrapping_add(number).to_be_bytes());
        packet.extend_from_slice(&stream.to_be_bytes());
        packet.extend_from_slice(&[0, 9, 0, 0, 0, 51]);
        packet.extend_from_slice(body);
        packet.resize(packet.len().next_multiple_of(4), 0);
        let sum = crc32c(&packet).to_le_bytes();
        packet[8..12].copy_from_slice(&sum);
        packet.into()
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 })
    })
}

/// First fragment of a message.
const FIRST: u8 = 2;

#[test]
fn a_channel_opens_and_carries_texts_of_each_length() {
    let mut pair = Pair::connected();
    for length in [0, 1, 1_099, 1_100, 1_101, 262_144] {
        let text = "x".repeat(length);
        pair.caller.say(&text, false).unwrap();
        pair.answerer.say(&text, false).unwrap();
        pair.carry();
        while pair.caller.deadline().is_some() && pair.answerer.told.is_empty() {
            pair.now = pair.caller.deadline().unwrap();
            pair.caller.timeout(pair.now);
            pair.carry();
        }
        assert_eq!(pair.answerer.told(), [Told::Message(text.clone())]);
        assert_eq!(pair.caller.told(), [Told::Message(text)]);
    }
    assert!(pair.sent.iter().all(|packet| packet.len() <= 1_128), "with DTLS and UDP below 1,200 bytes");
    assert_eq!(pair.answerer.pieces, 0, "nothing is incomplete");
}

#[test]
fn what_is_urgent_does_not_wait_for_what_was_lost() {
    let mut pair = Pair::connected();
    for (text, urgent) in [("lost", false), ("waits", false), ("urgent", true)] {
        pair.answerer.say(text, urgent).unwrap();
        let packets = pair.answerer.packets(pair.now);
        if text != "lost" {
            packets.into_iter().for_each(|packet| pair.caller.receive(pair.now, packet));
        }
    }
    assert_eq!(pair.caller.told(), [Told::Message("urgent".into())]);
    while pair.caller.told.is_empty() {
        pair.now = pair.answerer.deadline().unwrap();
        pair.answerer.timeout(pair.now);
        pair.carry();
    }
    assert_eq!(pair.caller.told(), [Told::Message("lost".into()), Told::Message("waits".into())]);
}

#[test]
fn what_is_no_text_is_dropped_by_name_and_the_channel_goes_on() {
    let mut pair = Pair::connected();
    let long = vec![b'x'; LONGEST_MESSAGE + 1];
    for (bytes, kind, drop) in [
        (&b"\0"[..], Kind::Binary, Drop::MessageBinary),
        (b"\0", Kind::BinaryEmpty, Drop::MessageBinary),
        (b"\xFF\xFE", Kind::String, Drop::Malformed),
        (b"\x09", Kind::Dcep, Drop::Malformed),
        (&long, Kind::String, Drop::Malformed),
    ] {
        pair.write(OURS, bytes, kind);
        assert_eq!(pair.answerer.told(), [Told::Dropped(drop)]);
    }
    pair.caller.say("goes on", false).unwrap();
    pair.carry();
    assert_eq!(pair.answerer.told(), [Told::Message("goes on".into())]);
}

#[test]
fn further_channels_are_accepted_and_not_listened_to() {
    let mut pair = Pair::connected();
    pair.write(2, &dcep::open("another"), Kind::Dcep);
    pair.write(2, b"hello?", Kind::String);
    assert_eq!(pair.answerer.told(), []);
    pair.answerer.say("one", false).unwrap();
    pair.carry();
    assert_eq!(pair.caller.told(), [Told::Message("one".into())]);
}

#[test]
fn a_channel_may_be_unordered() {
    let (answerer, mut caller) = (Sctp::new(5000, 262_144), Sctp::new(5000, 0));
    caller.connect();
    caller.channel = Channel::Absent;
    let mut pair = Pair { answerer, caller, now: Instant::now(), sent: Vec::new() };
    pair.carry();
    let mut open = dcep::open("any label");
    open[1] = 0x81;
    pair.write(1, &open, Kind::Dcep);
    assert_eq!(pair.answerer.told(), [Told::Opened]);
    pair.write(1, b"text", Kind::String);
    assert_eq!(pair.answerer.told(), [Told::Message("text".into())]);
}

#[test]
fn texts_before_the_channel_are_kept_up_to_a_bound() {
    let mut sctp = Sctp::new(5000, 100);
    assert_eq!(sctp.say(&"x".repeat(101), false), Err(Drop::MessageQueueFull));
    assert_eq!((0..400).filter(|_| sctp.say("text", false).is_ok()).count(), QUEUED);
    let mut sctp = Sctp::new(5000, 0);
    let long = "x".repeat(LONGEST_MESSAGE);
    assert_eq!((0..400).filter(|_| sctp.say(&long, false).is_ok()).count(), 4);
}

#[test]
fn a_repeated_beginning_ends_nothing() {
    let mut pair = Pair::connected();
    for packet in pair.sent.clone() {
        pair.answerer.receive(pair.now, packet);
        pair.carry();
    }
    assert_eq!(pair.answerer.told(), []);
    pair.caller.say("goes on", false).unwrap();
    pair.carry();
    assert_eq!(pair.answerer.told(), [Told::Message("goes on".into())]);
}

#[test]
fn who_sends_without_a_pause_is_not_put_out() {
    let mut pair = Pair::connected();
    let text = "x".repeat(50_000);
    let mut heard = 0;
    while heard < 150 {
        while pair.caller.say(&text, false).is_ok() {}
        // One round trip at a time: a message is incomplete at each acknowledgement.
        for packet in pair.caller.packets(pair.now) {
            pair.answerer.receive(pair.now, packet);
        }
        for packet in pair.answerer.packets(pair.now) {
            pair.caller.receive(pair.now, packet);
        }
        pair.now += std::time::Duration::from_millis(1);
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= pair.now);
        if due(pair.answerer.deadline()) {
            pair.answerer.timeout(pair.now);
        }
        for told in pair.answerer.told() {
            assert_eq!(told, Told::Message(text.clone()));
            heard += 1;
        }
    }
}

/// Security S1: messages that never end, in large pieces and in small ones.
#[test]
fn who_never_finishes_a_message_is_put_out() {
    for (length, most) in [(1_100, 1_100), (1, 5_000)] {
        let mut pair = Pair::connected();
        let mut end = None;
        for number in 1..=most {
            let packet = pair.forged(number, FIRST, OURS, &vec![b'x'; length]);
            pair.answerer.receive(pair.now, packet);
            pair.answerer.packets(pair.now);
            let told = pair.answerer.told();
            if !told.is_empty() {
                assert_eq!(told, [Told::Dropped(Drop::MessageOverrun), Told::Closed]);
                end = Some(number);
                break;
            }
        }
        assert!(end.is_some_and(|end| end > 900), "{length}: {end:?}");
    }
}

#[test]
fn who_opens_a_hundred_streams_is_put_out() {
    let mut pair = Pair::connected();
    let mut told = Vec::new();
    for number in 1..=100 {
        let packet = pair.forged(number, FIRST, number as u16, b"x");
        pair.answerer.receive(pair.now, packet);
        told.extend(pair.answerer.told());
    }
    assert_eq!(told[..2], [Told::Dropped(Drop::MessageOverrun), Told::Closed]);
}

#[test]
fn a_goodbye_is_heard() {
    let mut pair = Pair::connected();
    pair.now += std::time::Duration::from_secs(1);
    pair.answerer.timeout(pair.now);
    pair.carry();
    pair.caller.close();
    pair.carry();
    assert_eq!(pair.answerer.told(), [Told::Closed]);
}

#[test]
fn broken_packets_are_counted_or_end_the_association_and_nothing_else() {
    let samples = Pair::connected().sent;
    let mut state = 3_u64;
    let mut roll = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for round in 0..400 {
        let mut pair = Pair::connected();
        for _ in 0..8 {
            let ours = &pair.sent[roll() % pair.sent.len()];
            let mut twin = if round % 4 == 0 { samples[roll() % samples.len()].to_vec() } else { ours.to_vec() };
            for _ in 0..1 + roll() % 3 {
                let place = 12 + roll() % (twin.len() - 12);
                twin[place] = roll() as u8;
            }
            if roll() % 4 == 0 {
                twin.truncate(roll() % twin.len());
            }
            if twin.len() >= 12 {
                twin[8..12].fill(0);
                let sum = crc32c(&twin).to_le_bytes();
                twin[8..12].copy_from_slice(&sum);
            }
            pair.answerer.receive(pair.now, twin.into());
            pair.answerer.packets(pair.now);
        }
        pair.answerer.timeout(pair.now);
    }
}
