//! The bare loop: seal each packet for each sink, and send trains. No ingress, no engine, no events.
//!
//! What the engine's cost is held against: both are paid in the same run, for the same packets to the
//! same sockets. It is as fast as this machine allows with what the engine is built from.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::figures::Figures;
use super::outlet::Outlet;
use super::socket::Socket;
use crate::crowd::mark::{self, Mark};
use crate::outbox::Outbox;
use crate::transport::TAIL;
use crate::transport::srtp::{Profile, Sealer};

/// Fixed header of the packets.
const HEADER: usize = 12;
/// Their payload type, as the crowd's books expect no particular one.
const FORMAT: u8 = 96;
const CLOCK: f64 = 90_000.0;

/// What to send to whom.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Order {
    pub sinks: Vec<SocketAddr>,
    /// Master key and salt of AES-256-GCM, 32 and 12 bytes, for each sink.
    pub keys: Vec<(Vec<u8>, Vec<u8>)>,
    pub ssrc: u32,
    pub fps: f64,
    pub burst: u16,
    /// Bytes of a packet before it is sealed.
    pub size: u16,
    pub frames: u64,
    /// Extended sequence number of the first packet.
    pub first: u64,
}

/// Carry out an order in real time; what was sent.
///
/// # Errors
/// When there is no socket, or a key is not one.
pub fn run(order: &Order) -> io::Result<Figures> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "a key of AES-256-GCM has 32 bytes, its salt 12");
    let socket = Socket::bind(IpAddr::V4(Ipv4Addr::LOCALHOST), 0, false)?;
    let mut sealers = Vec::new();
    for (key, salt) in &order.keys {
        sealers.push(Sealer::new(Profile::Gcm256, key, salt).ok_or_else(wrong)?);
    }
    let (mut outlet, mut outbox, mut figures) = (Outlet::new(true), Outbox::default(), Figures::default());
    let size = usize::from(order.size).max(HEADER + mark::TRAILER);
    let burst = u64::from(order.burst.max(1));
    let mut frame = vec![0; size * burst as usize];
    let start = Instant::now();
    for number in 0..order.frames {
        let due = Duration::from_secs_f64(number as f64 / order.fps);
        thread::sleep(due.saturating_sub(start.elapsed()));
        let sent = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
        for (piece, packet) in (0..burst).zip(frame.chunks_exact_mut(size)) {
            let index = order.first + number * burst + piece;
            let Some((head, body)) = packet.split_first_chunk_mut::<HEADER>() else { continue };
            let [s1, s2] = (index as u16).to_be_bytes();
            // The clock goes on where the stretch before left it.
            let time = (order.first / burst + number) as f64 / order.fps;
            let [t1, t2, t3, t4] = ((time * CLOCK) as u64 as u32).to_be_bytes();
            let [c1, c2, c3, c4] = order.ssrc.to_be_bytes();
            *head = [0x80, FORMAT, s1, s2, t1, t2, t3, t4, c1, c2, c3, c4];
            mark::write(body, Mark { publisher: order.ssrc, number: index as u32, sent });
        }
        for ((place, to), sealer) in (0..).zip(&order.sinks).zip(&mut sealers) {
            let lane = outbox.lane(place);
            for (piece, packet) in (0..burst).zip(frame.chunks_exact(size)) {
                let Some(buffer) = lane.reserve(size + TAIL) else { continue };
                if let Some(room) = buffer.get_mut(..size) {
                    room.copy_from_slice(packet);
                }
                if let Ok(sealed) = sealer.seal_rtp(buffer, size, order.first + number * burst + piece) {
                    lane.commit(*to, sealed);
                }
            }
        }
        let waiting = outbox.waiting().flat_map(|lane| lane.messages().iter().map(move |one| (lane, one)));
        outlet.send(&socket, waiting.map(|(lane, one)| (one.to, lane.bytes(one), one.segment)), &mut figures);
        outbox.clear();
    }
    Ok(figures)
}
