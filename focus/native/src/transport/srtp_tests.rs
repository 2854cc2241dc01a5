//! Known answers of RFC 3711 and RFC 7714, round trips, and what must not pass.

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter_map(|c| (c as char).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

const PROFILES: [Profile; 3] = [Profile::Gcm128, Profile::Gcm256, Profile::Sha1_80];

fn pair(profile: Profile) -> (Sealer, Opener) {
    let (key, salt) = profile.lengths();
    let key: Vec<u8> = (1..=key as u8).collect();
    let salt: Vec<u8> = (100..100 + salt as u8).collect();
    (Sealer::new(profile, &key, &salt).unwrap(), Opener::new(profile, &key, &salt).unwrap())
}

fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x90, 96];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 1]);
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[0xBE, 0xDE, 0, 1, 0x10, 7, 0, 0]);
    packet.extend_from_slice(payload);
    packet
}

fn seal(sealer: &mut Sealer, plain: &[u8], index: u64) -> Vec<u8> {
    let mut packet = plain.to_vec();
    packet.resize(plain.len() + TAIL, 0xAA);
    let length = sealer.seal_rtp(&mut packet, plain.len(), index).unwrap();
    packet.truncate(length);
    packet
}

fn seal_rtcp(sealer: &mut Sealer, plain: &[u8]) -> Vec<u8> {
    let mut packet = plain.to_vec();
    packet.resize(plain.len() + TAIL, 0xAA);
    let length = sealer.seal_rtcp(&mut packet, plain.len()).unwrap();
    packet.truncate(length);
    packet
}

fn open(opener: &mut Opener, sealed: &[u8]) -> Result<Vec<u8>, Drop> {
    let mut datagram = sealed.to_vec();
    let length = opener.open_rtp(&mut datagram)?;
    datagram.truncate(length);
    Ok(datagram)
}

fn open_rtcp(opener: &mut Opener, sealed: &[u8]) -> Result<Vec<u8>, Drop> {
    let mut datagram = sealed.to_vec();
    let length = opener.open_rtcp(&mut datagram)?;
    datagram.truncate(length);
    Ok(datagram)
}

#[test]
fn keys_are_derived_as_in_rfc_3711_appendix_b3() {
    let master = counter_mode(&bytes("e1f97a0d3e018be0d64fa32c06de4139")).unwrap();
    let salt = bytes("0ec675ad498afeebb6960b3aabe6");
    for (label, expected) in [
        (0, "c61e7a93744f39ee10734afe3ff7a087"),
        (2, "30cbbc08863d8c85d49db34a9ae1"),
        (1, "cebe321f6ff7716b6fd4ab49af256a156d38baa4"),
    ] {
        let expected = bytes(expected);
        let mut derived = vec![0; expected.len()];
        derive(&master, &salt, label, &mut derived).unwrap();
        assert_eq!(derived, expected);
    }
}

#[test]
fn the_key_stream_is_that_of_rfc_3711_appendix_b2() {
    let key = counter_mode(&bytes("2b7e151628aed2a6abf7158809cf4f3c")).unwrap();
    let salt: [u8; 14] = bytes("f0f1f2f3f4f5f6f7f8f9fafbfcfd").try_into().unwrap();
    let mut stream = [0; 32];
    key.less_safe_encrypt(&mut stream, counter(&salt, 0, 0)).unwrap();
    assert_eq!(stream.to_vec(), bytes("e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab"));
}

/// The session keys and salt of RFC 7714 §16 and §17, without derivation.
fn gcm(key: &str) -> Suite {
    let key = bytes(key);
    let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
    let salt = bytes("517569642070726f2071756f").try_into().unwrap();
    Suite::Gcm { key: LessSafeKey::new(UnboundKey::new(algorithm, &key).unwrap()), salt }
}

const SHORT: &str = "000102030405060708090a0b0c0d0e0f";
const LONG: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[test]
fn rtp_is_sealed_as_in_rfc_7714_section_16() {
    let plain =
        bytes("8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e2070617274657320747265 73");
    for (key, expected) in [
        (
            SHORT,
            "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf88\
             33899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            LONG,
            "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b8\
             7b7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ] {
        let (mut sealer, mut opener) = pair(Profile::Gcm128);
        (sealer.rtp, opener.rtp) = (gcm(key), gcm(key));
        let sealed = seal(&mut sealer, &plain, 0xf17b);
        assert_eq!(sealed, bytes(expected));
        assert_eq!(open(&mut opener, &sealed), Ok(plain.clone()));
    }
}

#[test]
fn rtcp_is_sealed_as_in_rfc_7714_section_17() {
    let plain = bytes(
        "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
    );
    let expected = bytes(
        "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275b\
         c84aa45896cf4d2fc5abf87245d9eade800005d4",
    );
    let (mut sealer, mut opener) = pair(Profile::Gcm128);
    (sealer.rtcp, opener.rtcp) = (gcm(SHORT), gcm(SHORT));
    sealer.rtcp_index = 0x5d4;
    let sealed = seal_rtcp(&mut sealer, &plain);
    assert_eq!(sealed, expected);
    assert_eq!(open_rtcp(&mut opener, &sealed), Ok(plain));
}

#[test]
fn what_is_sealed_opens_once_in_each_profile() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        for (number, length) in [0, 1, 15, 16, 17, 1_200].into_iter().enumerate() {
            let plain = rtp(7, number as u16, &vec![9; length]);
            let sealed = seal(&mut sealer, &plain, number as u64);
            assert_eq!(open(&mut opener, &sealed), Ok(plain), "{profile:?} {length}");
            assert_eq!(open(&mut opener, &sealed), Err(Drop::Replayed));
            let plain = [&[0x80, 200, 0, 1, 0, 0, 0, 7][..], &vec![3; length]].concat();
            let sealed = seal_rtcp(&mut sealer, &plain);
            assert_eq!(open_rtcp(&mut opener, &sealed), Ok(plain), "{profile:?} {length}");
            assert_eq!(open_rtcp(&mut opener, &sealed), Err(Drop::Replayed));
        }
    }
}

#[test]
fn corrupted_and_cut_twins_do_not_open_and_change_nothing() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let plain = rtp(7, 9, b"some payload");
        let sealed = seal(&mut sealer, &plain, 9);
        let report = seal_rtcp(&mut sealer, &[0x80, 201, 0, 2, 0, 0, 0, 7, 1, 2, 3, 4]);
        for at in 0..sealed.len() {
            let mut twin = sealed.clone();
            twin[at] ^= 1;
            assert_eq!(open(&mut opener, &twin), Err(Drop::Authentication), "{profile:?} byte {at}");
            assert!(open(&mut opener, &sealed[..at]).is_err());
        }
        for at in 0..report.len() {
            let mut twin = report.clone();
            twin[at] ^= 1;
            assert_eq!(open_rtcp(&mut opener, &twin), Err(Drop::Authentication), "{profile:?} byte {at}");
            assert!(open_rtcp(&mut opener, &report[..at]).is_err());
        }
        assert_eq!(open(&mut opener, &sealed), Ok(plain));
        assert!(open_rtcp(&mut opener, &report).is_ok());
    }
}

#[test]
fn the_rollover_counter_is_followed_across_loss_and_reordering() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let indices = [65_530_u64, 65_535, 65_538, 65_533, 65_536, 98_000, 130_000, 131_071, 131_073, 131_070];
        for index in indices {
            let plain = rtp(1, index as u16, &index.to_be_bytes());
            let sealed = seal(&mut sealer, &plain, index);
            assert_eq!(open(&mut opener, &sealed), Ok(plain), "{profile:?} {index}");
        }
    }
}

#[test]
fn a_report_left_unencrypted_opens_if_it_is_authentic() {
    let (sealer, mut opener) = pair(Profile::Gcm128);
    let plain = [0x80, 201, 0, 1, 0, 0, 0, 7];
    let Suite::Gcm { key, salt } = &sealer.rtcp else { unreachable!() };
    let word = 5_u32.to_be_bytes();
    let aad = [&plain[..], &word].concat();
    let tag = key.seal_in_place_separate_tag(nonce(salt, 7, 0, 5), Aad::from(aad), &mut []).unwrap();
    let sealed = [&plain[..], tag.as_ref(), &word].concat();
    let mut twin = sealed.clone();
    twin[1] ^= 1;
    assert_eq!(open_rtcp(&mut opener, &twin), Err(Drop::Authentication));
    assert_eq!(open_rtcp(&mut opener, &sealed), Ok(plain.to_vec()));
}

#[test]
fn streams_do_not_hide_each_others_packets() {
    let (mut sealer, mut opener) = pair(Profile::Gcm256);
    for (ssrc, index) in [(1, 5), (2, 5), (1, 4), (3, 60_000), (2, 6)] {
        let plain = rtp(ssrc, index as u16, b"x");
        let sealed = seal(&mut sealer, &plain, index);
        assert_eq!(open(&mut opener, &sealed), Ok(plain));
        assert_eq!(open(&mut opener, &sealed), Err(Drop::Replayed));
    }
}

#[test]
#[should_panic(expected = "sealed twice")]
#[cfg(debug_assertions)]
fn sealing_an_index_twice_is_a_fault() {
    let (mut sealer, _) = pair(Profile::Gcm128);
    for _ in 0..2 {
        seal(&mut sealer, &rtp(1, 1, b"x"), 1);
    }
}

/// Security R3: each length, with each number of CSRCs, with and without an extension of any length.
#[test]
fn no_header_makes_it_panic() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        for length in (0..=64).chain([500, 1_499, 1_500, 1_501]) {
            for first in [0x80_u8, 0x90] {
                for (contributors, words) in (0..16).flat_map(|c| [0_u16, 1, 300, 65_535].map(|w| (c, w))) {
                    let mut packet = vec![0; length];
                    if let Some(byte) = packet.first_mut() {
                        *byte = first | contributors;
                    }
                    let at = 14 + 4 * usize::from(contributors);
                    if let Some(field) = packet.get_mut(at..at + 2) {
                        field.copy_from_slice(&words.to_be_bytes());
                    }
                    assert!(opener.open_rtp(&mut packet.clone()).is_err());
                    assert!(opener.open_rtcp(&mut packet.clone()).is_err());
                    let _ = sealer.try_seal_rtp(&mut packet.clone(), length, 1);
                    let _ = sealer.seal_rtp(&mut packet.clone(), length + 1, u64::MAX).is_err();
                    let _ = sealer.try_seal_rtcp(&mut packet, length, 1);
                }
            }
        }
    }
}
