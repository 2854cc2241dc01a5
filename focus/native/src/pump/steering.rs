//! Which socket of a port a datagram comes to: told to the kernel by a few instructions (classic BPF).
//!
//! Subscribers answer with transport-wide feedback ten times a second each, and with a receiver report once, and nobody
//! waits for either. So each worker has two sockets: one that wakes it, and one for these, which it reads when it is
//! awake. And each sender comes to one worker always. No privilege is needed; where the kernel will not, everything
//! comes to the first kind.

use std::io;
use std::mem::size_of;
use std::ptr;

use libc::{
    BPF_A, BPF_ABS, BPF_ADD, BPF_ALU, BPF_AND, BPF_B, BPF_H, BPF_IMM, BPF_IND, BPF_JEQ, BPF_JGT, BPF_JMP, BPF_K,
    BPF_LD, BPF_LDX, BPF_LEN, BPF_LSH, BPF_MEM, BPF_MISC, BPF_MOD, BPF_MSH, BPF_MUL, BPF_RET, BPF_RSH, BPF_ST, BPF_TAX,
    BPF_W, BPF_X, BPF_XOR, SKF_NET_OFF, sock_filter, sock_fprog, socklen_t,
};

use super::socket::Socket;
use crate::transport::TAIL;

/// An RTCP packet begins with version, padding flag and format; all but the flag, for transport-wide feedback.
const FIRST: u32 = 0x8F;
const BUT_PADDING: u32 = 0xDF;
/// Its second byte: transport layer feedback (RFC 4585 §6.2). SRTCP leaves both in clear.
const SECOND: u32 = 205;
/// A receiver report begins with the version and any count of blocks; its length is clear, too. It is of no use to
/// anybody here, but what may follow in the same datagram is: a NACK, or a wish for a keyframe.
const VERSION: u32 = 0x80;
const BUT_COUNT: u32 = 0xC0;
const REPORT: u32 = 201;
/// Multipliers of a hash: odd, and without a pattern.
const MIX: [u32; 2] = [0x9E37_79B1, 0x85EB_CA6B];

/// Deal datagrams of a port out: to the first `workers` of its sockets, in the order in which they were bound, by the
/// hash of their sender; transport-wide feedback, and receiver reports that come alone, to as many behind them.
pub fn steer(socket: &Socket, workers: usize) -> io::Result<()> {
    let mut program = program(socket.address().is_ipv6(), workers as u32);
    let program = sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let (name, length) = (libc::SO_ATTACH_REUSEPORT_CBPF, size_of::<sock_fprog>() as socklen_t);
    // SAFETY: the program and its length belong together, and the kernel copies both.
    match unsafe { libc::setsockopt(socket.fd(), libc::SOL_SOCKET, name, ptr::from_ref(&program).cast(), length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The payload begins at 0, headers before it are found from `SKF_NET_OFF` on. What reads too far returns 0.
fn program(v6: bool, workers: u32) -> Vec<sock_filter> {
    let network = SKF_NET_OFF as u32;
    let step = |code: u32, k: u32| sock_filter { code: code as u16, jt: 0, jf: 0, k };
    // Over so many instructions where it is so, and where it is not.
    let jump = |what: u32, k: u32, jt: u8, jf: u8| sock_filter { code: (BPF_JMP | what) as u16, jt, jf, k };
    let mut made = Vec::new();
    if workers > 1 {
        // The port is behind the header, whose length is where IPv4 has it; the address is in the header.
        let (address, port) = if v6 {
            (network + 20, vec![step(BPF_LD | BPF_H | BPF_ABS, network + 40)])
        } else {
            let length = step(BPF_LDX | BPF_B | BPF_MSH, network);
            (network + 12, vec![length, step(BPF_LD | BPF_H | BPF_IND, network)])
        };
        made.extend(port);
        made.extend([
            step(BPF_ALU | BPF_MUL | BPF_K, MIX[0]),
            step(BPF_MISC | BPF_TAX, 0),
            step(BPF_LD | BPF_W | BPF_ABS, address),
            step(BPF_ALU | BPF_XOR | BPF_X, 0),
            step(BPF_ALU | BPF_MUL | BPF_K, MIX[1]),
            step(BPF_ALU | BPF_RSH | BPF_K, 16),
            step(BPF_ALU | BPF_MOD | BPF_K, workers),
        ]);
    } else {
        made.push(step(BPF_LD | BPF_IMM, 0));
    }
    made.extend([
        step(BPF_ST, 0),
        step(BPF_LD | BPF_B | BPF_ABS, 0),
        step(BPF_ALU | BPF_AND | BPF_K, BUT_COUNT),
        jump(BPF_JEQ | BPF_K, VERSION, 0, 15),
        step(BPF_LD | BPF_B | BPF_ABS, 1),
        jump(BPF_JEQ | BPF_K, REPORT, 4, 0),
        jump(BPF_JEQ | BPF_K, SECOND, 0, 12),
        step(BPF_LD | BPF_B | BPF_ABS, 0),
        step(BPF_ALU | BPF_AND | BPF_K, BUT_PADDING),
        jump(BPF_JEQ | BPF_K, FIRST, 6, 9),
        // A report: is there more than it and what SRTCP puts behind?
        step(BPF_LD | BPF_H | BPF_ABS, 2),
        step(BPF_ALU | BPF_LSH | BPF_K, 2),
        step(BPF_ALU | BPF_ADD | BPF_K, 4 + TAIL as u32),
        step(BPF_MISC | BPF_TAX, 0),
        step(BPF_LD | BPF_W | BPF_LEN, 0),
        jump(BPF_JGT | BPF_X, 0, 3, 0),
        // To the second kind of socket ...
        step(BPF_LD | BPF_W | BPF_MEM, 0),
        step(BPF_ALU | BPF_ADD | BPF_K, workers),
        step(BPF_RET | BPF_A, 0),
        // ... and to the first.
        step(BPF_LD | BPF_W | BPF_MEM, 0),
        step(BPF_RET | BPF_A, 0),
    ]);
    made
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

    use super::super::socket::Inlet;
    use super::*;

    /// Which sockets a datagram of each of so many senders comes to.
    fn places(ip: IpAddr, workers: usize, senders: usize, datagram: &[u8]) -> Vec<usize> {
        let first = Socket::bind(ip, 0, false).expect("a socket");
        let twins: Vec<Socket> = (1..2 * workers).map(|_| first.twin(false).expect("another")).collect();
        steer(&first, workers).expect("steered");
        let sockets: Vec<&Socket> = std::iter::once(&first).chain(&twins).collect();
        let mut inlet = Inlet::new(false);
        let one = |_| {
            let sender = UdpSocket::bind((ip, 0)).expect("a socket");
            let mut came = (0..3).map(|_| {
                sender.send_to(datagram, first.address()).expect("sent");
                sockets.iter().position(|socket| inlet.receive(socket).expect("read") > 0).expect("it came")
            });
            let place = came.next().expect("three");
            assert!(came.all(|other| other == place), "a sender comes to one socket always");
            place
        };
        (0..senders).map(one).collect()
    }

    #[test]
    fn feedback_and_lonely_reports_come_to_a_socket_of_their_own_and_all_else_to_the_other() {
        // A report of one block, sealed; with the shorter tail; with a wish for a keyframe behind it; and a short one.
        let report = |length| [&[0x81, 201, 0, 7][..], &vec![1; length - 4]].concat();
        let (alone, shorter, more, cut) = (report(32 + TAIL), report(32 + 14), report(32 + 12 + 14), report(8));
        for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            for (datagram, place) in [
                (&[0x8F, 205, 0, 5, 1, 2, 3, 4][..], 1),
                (&[0xAF, 205], 1),
                (&[0x8F], 0),
                (&[], 0),
                (&[0x8F, 206], 0),
                (&[0x81, 205], 0),
                (&[0x81, 201], 0),
                (&alone, 1),
                (&shorter, 1),
                (&more, 0),
                (&cut, 1),
                (&[0x80, 201, 0, 1, 0, 0, 0, 1], 1),
                (&[0x16, 201, 0, 7], 0),
                (&[0x0F, 205], 0),
                (&[0x90, 96, 0, 1], 0),
                (&[0, 1, 0, 0], 0),
                (&[22, 254, 253], 0),
            ] {
                assert_eq!(places(ip, 1, 1, datagram), [place], "{datagram:?}");
            }
        }
    }

    #[test]
    fn senders_are_dealt_out_evenly_and_their_feedback_comes_to_the_same_worker() {
        for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let media = places(ip, 3, 90, &[0x80, 96]);
            for worker in 0..3 {
                let count = media.iter().filter(|place| **place == worker).count();
                assert!((12..=54).contains(&count), "{count} of 90");
            }
            let feedback = places(ip, 3, 90, &[0x8F, 205]);
            assert!(feedback.iter().all(|place| (3..6).contains(place)));
        }
    }
}
