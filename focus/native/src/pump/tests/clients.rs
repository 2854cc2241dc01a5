//! Clients of the pump with real transports, each at a socket of its own on loopback.

use super::*;
use crate::media::bytes::{packet, split, vp8};
use crate::media::rtp::{is_rtcp, parse};
use crate::transport::{Out, TAIL, Transport, TransportEvent};

#[derive(Default)]
struct Sent(Vec<Vec<u8>>);

impl Out for Sent {
    fn send(&mut self, _: SocketAddr, datagram: &[u8]) {
        self.0.push(datagram.to_vec());
    }
}

/// Somebody with a real transport and a socket of their own.
pub(super) struct Client {
    pub(super) name: Name,
    pub(super) socket: UdpSocket,
    pub(super) transport: Transport,
    pub(super) to: SocketAddr,
    pub(super) connected: bool,
    pub(super) sequence: u64,
    /// Packets that came, decrypted.
    pub(super) packets: Vec<Vec<u8>>,
    /// Checks that came, and answers to ours.
    pub(super) checks: [usize; 2],
    /// RTCP that came: count, kind, body.
    pub(super) reports: Vec<(u8, u8, Vec<u8>)>,
}

pub(super) fn quiet() -> UdpSocket {
    let socket = UdpSocket::bind((HOME, 0)).expect("a socket");
    socket.set_nonblocking(true).expect("set");
    socket
}

impl Client {
    /// Let what has come in, and what is due out.
    pub(super) fn step(&mut self) {
        let now = Instant::now();
        let mut sent = Sent::default();
        let mut buffer = [0; 2048];
        while let Ok((length, _)) = self.socket.recv_from(&mut buffer) {
            let datagram = &mut buffer[..length];
            match datagram.first() {
                Some(&kind @ 0..=1) => {
                    self.checks[usize::from(kind)] += 1;
                    let _ = self.transport.stun(now, self.to, datagram, &mut sent);
                }
                Some(20..=63) => {
                    let _ = self.transport.dtls(now, self.to, datagram, &mut sent);
                }
                _ if is_rtcp(datagram) => {
                    let length = self.transport.open_rtcp(datagram).expect("ours");
                    self.reports.extend(split(&datagram[..length]));
                }
                _ => {
                    let length = self.transport.open_rtp(datagram).expect("ours, and never twice");
                    self.packets.push(datagram[..length].to_vec());
                }
            }
        }
        self.transport.timeout(now, &mut sent);
        while let Some(event) = self.transport.event() {
            self.connected |= event == TransportEvent::Connected;
        }
        self.send(sent);
    }

    fn send(&self, sent: Sent) {
        sent.0.iter().for_each(|datagram| drop(self.socket.send_to(datagram, self.to)));
    }

    /// One frame of one packet on one layer.
    pub(super) fn publish(&mut self, ssrc: u32, rid: &str, keyframe: bool) {
        self.sequence += 1;
        let (number, index) = (self.sequence as u16, self.sequence);
        let payload = vp8(Some(number & 0x7FFF), Some(number as u8), keyframe, (64, 64), true, &[7; 900], true);
        let named = [(1, &b"0"[..]), (2, rid.as_bytes())];
        let named = if rid.is_empty() { &named[..1] } else { &named };
        let mut plain = packet(ssrc, number, 3000 * u32::from(number), 96, &payload, named, true, 0);
        let length = plain.len();
        plain.resize(length + TAIL, 0);
        let sealed = self.transport.seal_rtp(&mut plain, length, index).expect("connected");
        plain.truncate(sealed);
        self.send(Sent(vec![plain]));
    }

    pub(super) fn report(&mut self, mut compound: Vec<u8>) {
        let length = compound.len();
        compound.resize(length + TAIL, 0);
        let sealed = self.transport.seal_rtcp(&mut compound, length).expect("connected");
        compound.truncate(sealed);
        self.send(Sent(vec![compound]));
    }

    pub(super) fn sequences(&self, pt: u8) -> Vec<u16> {
        let all = self.packets.iter().filter_map(|data| parse(data));
        all.filter(|header| header.payload_type == pt).map(|header| header.sequence).collect()
    }

    /// Keyframes that it was asked for.
    pub(super) fn asked(&self) -> usize {
        self.reports.iter().filter(|report| (report.0, report.1) == (1, 206)).count()
    }
}

pub(super) fn credentials(side: &str, name: &str) -> Credentials {
    Credentials { ufrag: format!("{side}{name}"), pwd: format!("{side}{name}0123456789abcdef012345") }
}
