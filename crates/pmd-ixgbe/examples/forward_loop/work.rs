//! What is done with packets, as testpmd's forward modes do it.

use crate::Done;
use linecard_mbuf::{Burst, L4Checksum, Mbuf, MbufPool, TxRequest};
use linecard_net::checksum::pseudo_sum;
use linecard_net::packet_type::{L3, L4};
use linecard_net::{FrameBuilder, MacAddr, parse};
use linecard_pmd_core::{PortConfig, RxOffloads, RxQueue, TxOffloads, TxQueue};
use std::net::Ipv4Addr;
use std::str::FromStr;

/// The queues of a card.
pub(crate) type Queues = (Box<dyn RxQueue>, Box<dyn TxQueue>);

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Packets go on as they are.
    Io,
    /// The same, on ports that could do checksums and tags.
    IoOffloads,
    /// Addresses are set and a tag asked for; it is stripped where it arrives.
    Tags,
    /// Headers are parsed, and their checksums asked for.
    Sums,
    /// What comes is dropped.
    Receive,
    /// New packets are sent.
    Send,
}

use Work::{Io, IoOffloads, Receive, Send, Sums, Tags};

const ALL: [(&str, Work); 6] = [
    ("io", Io),
    ("io-offloads", IoOffloads),
    ("tags", Tags),
    ("sums", Sums),
    ("receive", Receive),
    ("send", Send),
];

impl FromStr for Work {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = ALL.iter().find(|(name, _)| *name == text);
        known.map(|(_, work)| *work).ok_or_else(|| format!("no work {text}"))
    }
}

const HERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const THERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

impl Work {
    /// Whether what is received is what was sent.
    pub(crate) fn goes_round(self) -> bool {
        !matches!(self, Receive | Send)
    }

    /// Ports that can do it.
    pub(crate) fn config(self, config: PortConfig) -> PortConfig {
        let sums = TxOffloads::IP_CHECKSUM | TxOffloads::UDP_CHECKSUM | TxOffloads::TCP_CHECKSUM;
        let checked = RxOffloads::IP_CHECKSUM | RxOffloads::L4_CHECKSUM;
        let (strip, tags) = (RxOffloads::VLAN_STRIP, TxOffloads::VLAN_INSERT);
        match self {
            Io | Receive | Send => config,
            IoOffloads => config.rx_offloads(checked | strip).tx_offloads(sums | tags),
            Tags => config.rx_offloads(strip).tx_offloads(tags),
            Sums => config.rx_offloads(checked).tx_offloads(sums),
        }
    }

    /// Does it for some rounds between both cards; says with how many packets. What does not go out is
    /// dropped.
    #[inline(never)]
    pub(crate) fn rounds(
        self,
        rounds: u64,
        pool: &MbufPool,
        burst: &mut Burst,
        near: &mut Queues,
        far: &mut Queues,
    ) -> u64 {
        let ways = [(&mut near.0, &mut far.1), (&mut far.0, &mut near.1)];
        let [one, other] = ways.map(|(from, to)| Way { from: &mut **from, to: &mut **to });
        let ways = &mut [one, other];
        match self {
            Io | IoOffloads => forward(rounds, burst, ways, |_| ()),
            Tags => forward(rounds, burst, ways, ask_for_a_tag),
            Sums => forward(rounds, burst, ways, ask_for_sums),
            Receive => receive(rounds, burst, ways),
            Send => send(rounds, burst, ways, pool),
        }
    }
}

/// From one card to the other.
struct Way<'a> {
    from: &'a mut dyn RxQueue,
    to: &'a mut dyn TxQueue,
}

#[inline(always)]
fn forward(rounds: u64, burst: &mut Burst, ways: &mut [Way<'_>], work: impl Fn(&mut Mbuf)) -> u64 {
    let mut packets = 0;
    for _ in 0..rounds {
        for Way { from, to } in &mut *ways {
            packets += from.receive(burst) as u64;
            burst.iter_mut().for_each(&work);
            to.send(burst);
            burst.clear();
        }
    }
    packets
}

fn receive(rounds: u64, burst: &mut Burst, ways: &mut [Way<'_>]) -> u64 {
    let mut packets = 0;
    for _ in 0..rounds {
        for Way { from, .. } in &mut *ways {
            packets += from.receive(burst) as u64;
            burst.clear();
        }
    }
    packets
}

fn send(rounds: u64, burst: &mut Burst, ways: &mut [Way<'_>], pool: &MbufPool) -> u64 {
    let (headers, mut packets) = (headers(), 0);
    for _ in 0..rounds {
        for Way { to, .. } in &mut *ways {
            pool.alloc_bulk(burst, burst.limit());
            for packet in burst.iter_mut() {
                let room = packet.append(60);
                room.into_iter().for_each(|bytes| bytes[..42].copy_from_slice(&headers));
            }
            packets += to.send(burst) as u64;
            burst.clear();
        }
    }
    packets
}

/// As testpmd's `mac` mode does on a port that inserts tags.
fn ask_for_a_tag(packet: &mut Mbuf) {
    if let Some(addresses) = packet.data_mut().first_chunk_mut::<12>() {
        addresses[..6].copy_from_slice(&THERE.0);
        addresses[6..].copy_from_slice(&HERE.0);
    }
    packet.insert_vlan(5);
}

/// As testpmd's `csum` mode does, but for the addresses, which it sets as well.
fn ask_for_sums(packet: &mut Mbuf) {
    let layers = parse(packet.data()).outer;
    let (l3, l4) = (usize::from(layers.l3_offset), usize::from(layers.l4_offset));
    let (Some(flow), L3::Ipv4, L4::Udp) = (layers.flow, layers.l3, layers.l4) else { return };
    let sum = pseudo_sum(&flow, (packet.len() - l4) as u32);
    let bytes = packet.data_mut();
    bytes[..6].copy_from_slice(&THERE.0);
    bytes[6..12].copy_from_slice(&HERE.0);
    bytes[l3 + 10..l3 + 12].fill(0);
    bytes[l4 + 6..l4 + 8].copy_from_slice(&sum.to_be_bytes());
    packet.request(TxRequest {
        l2_len: l3 as u8,
        l3_len: (l4 - l3) as u16,
        ip_checksum: true,
        l4_checksum: L4Checksum::Udp,
        ..Default::default()
    });
}

/// Ethernet, IPv4 and UDP.
fn headers() -> [u8; 42] {
    let [from, to] = [1, 2].map(|last| Ipv4Addr::new(198, 18, 0, last));
    let frame = FrameBuilder::new(THERE, HERE).ipv4(from, to).udp(9, 9).frame_len(60).to_vec();
    *frame.expect("a frame of 60 bytes").first_chunk().expect("headers are shorter")
}

/// Frames of 60 bytes.
pub(crate) fn frames(pool: &MbufPool, n: usize) -> Done<Burst> {
    let (mut burst, headers) = (Burst::new(), headers());
    for _ in 0..n {
        let mut packet = pool.alloc().ok_or("the pool is empty")?;
        let frame = packet.append(60)?;
        frame.fill(0);
        frame[..42].copy_from_slice(&headers);
        burst.push(packet).map_err(|_| "a burst is full")?;
    }
    Ok(burst)
}
