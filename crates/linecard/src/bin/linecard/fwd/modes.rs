//! What is done with packets on their way: the forwarding modes.

use clap::ValueEnum;
use linecard::mbuf::{Burst, Mbuf, MbufPool};
use linecard::net::header::{Arp, Ethernet, Icmp, Ipv4, ethertype, protocol};
use linecard::net::packet_type::{L3, L4};
use linecard::net::parse::parse;
use linecard::net::{FrameBuilder, MacAddr, checksum};
use std::net::Ipv4Addr;

/// A forwarding mode, named as testpmd names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Pass packets on untouched.
    Io,
    /// Set the source address to that of the port that sends.
    Mac,
    /// Exchange source and destination address.
    Macswap,
    /// Exchange addresses and ports of Ethernet, IP, TCP and UDP.
    #[value(name = "5tswap")]
    FiveTupleSwap,
    /// Receive and drop.
    Rxonly,
    /// Send frames of one flow, and drop what is received.
    Txonly,
    /// Send frames of many flows, and drop what is received.
    Flowgen,
    /// Compute IP, TCP and UDP checksums anew.
    Csum,
    /// Answer ARP requests and pings, drop the rest.
    Icmpecho,
}

impl Mode {
    /// Whether it makes frames of its own.
    pub(crate) fn generates(self) -> bool {
        matches!(self, Mode::Txonly | Mode::Flowgen)
    }
}

/// What a mode needs to know.
pub(crate) struct Context {
    pub(crate) mode: Mode,
    /// The address of the port that sends.
    pub(crate) mac: MacAddr,
    pub(crate) pool: MbufPool,
    /// Frame length of generated packets, without the checksum of the wire.
    pub(crate) frame: usize,
    generated: u32,
    /// A packet of several segments in one piece.
    scratch: Vec<u8>,
}

impl Context {
    pub(crate) fn new(mode: Mode, mac: MacAddr, pool: MbufPool, frame: usize) -> Self {
        Context { mode, mac, pool, frame, generated: 0, scratch: Vec::new() }
    }

    /// Works on the packets of a burst from `new` on; some modes take packets out or put others in.
    #[inline]
    pub(crate) fn apply(&mut self, burst: &mut Burst, new: usize) {
        match self.mode {
            Mode::Io => {}
            Mode::Mac => burst[new..].iter_mut().for_each(|p| set_source(p, self.mac)),
            Mode::Macswap => burst[new..].iter_mut().for_each(swap_macs),
            Mode::FiveTupleSwap => burst[new..].iter_mut().for_each(swap_five),
            Mode::Csum => {
                burst[new..].iter_mut().for_each(|p| fill_checksums(p, &mut self.scratch));
            }
            Mode::Rxonly => burst.clear(),
            Mode::Txonly => self.replace(burst, new, 1),
            Mode::Flowgen => self.replace(burst, new, 1024),
            Mode::Icmpecho => {
                let mut index = 0;
                burst.retain(|packet| {
                    index += 1;
                    index <= new || answer(packet)
                });
            }
        }
    }

    /// Drops what was received, and puts frames of `flows` flows in its place and after it.
    fn replace(&mut self, burst: &mut Burst, new: usize, flows: u32) {
        while burst.len() > new {
            burst.pop();
        }
        self.generate(burst, flows);
    }

    /// Fills the burst up with UDP frames of `flows` flows in turn.
    fn generate(&mut self, burst: &mut Burst, flows: u32) {
        while !burst.is_full() {
            let Some(mut packet) = self.pool.alloc() else { return };
            let flow = self.generated % flows;
            if packet.append(self.frame).is_err() || !write_frame(self.mac, flow, packet.data_mut())
            {
                return;
            }
            self.generated = self.generated.wrapping_add(1);
            // There is room: it was asked.
            let _ = burst.push(packet);
        }
    }
}

/// Benchmark addresses (RFC 2544, RFC 5180): 198.18.0.0/15.
fn write_frame(mac: MacAddr, flow: u32, into: &mut [u8]) -> bool {
    let [.., high, low] = flow.to_be_bytes();
    let (src, dst) = (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 19, high, low));
    FrameBuilder::new(MacAddr([2, 0, 0, 0, 0, 0xFE]), mac)
        .ipv4(src, dst)
        .udp(9, 9)
        .frame_len(into.len())
        .write_to(into)
        .is_ok()
}

fn set_source(packet: &mut Mbuf, mac: MacAddr) {
    if let Some(bytes) = packet.data_mut().get_mut(6..12) {
        bytes.copy_from_slice(&mac.octets());
    }
}

#[inline]
fn swap_macs(packet: &mut Mbuf) {
    if let Some(macs) = packet.data_mut().first_chunk_mut::<12>() {
        let [a, b] = *macs.as_chunks::<6>().0 else { return };
        macs[..6].copy_from_slice(&b);
        macs[6..].copy_from_slice(&a);
    }
}

/// Checksums stay right: their sums do not depend on the order of what is exchanged.
fn swap_five(packet: &mut Mbuf) {
    swap_macs(packet);
    let data = packet.data_mut();
    let parsed = parse(data);
    let layers = parsed.outer;
    let (l3, l4) = (usize::from(layers.l3_offset), usize::from(layers.l4_offset));
    match layers.l3 {
        L3::Ipv4 => swap(data, l3 + 12, 4),
        L3::Ipv6 => swap(data, l3 + 8, 16),
        _ => return,
    }
    // Not SCTP's: its CRC does depend on the order.
    if matches!(layers.l4, L4::Tcp | L4::Udp) {
        swap(data, l4, 2);
    }
}

/// Exchanges two neighbouring runs of `n` bytes.
fn swap(data: &mut [u8], at: usize, n: usize) {
    if let Some(both) = data.get_mut(at..at + 2 * n) {
        let (a, b) = both.split_at_mut(n);
        a.swap_with_slice(b);
    }
}

/// Checksums cover all segments: a packet of several is gathered in `scratch` for that.
fn fill_checksums(packet: &mut Mbuf, scratch: &mut Vec<u8>) {
    if packet.segment_count() == 1 {
        return fill(packet.data_mut());
    }
    scratch.resize(packet.len(), 0);
    packet.copy_to(0, scratch);
    fill(scratch);
    packet.copy_from(0, scratch);
}

/// What cannot be filled in (a fragment, a protocol without a checksum) is left alone.
fn fill(frame: &mut [u8]) {
    let layers = parse(frame).outer;
    let _ = checksum::fill_ipv4(frame, &layers);
    let _ = checksum::fill_l4(frame, &layers);
}

/// Turns a request into its answer; says whether it was one.
fn answer(packet: &mut Mbuf) -> bool {
    let Some((ethernet, rest)) = Ethernet::mut_from_prefix(packet.data_mut()) else { return false };
    let own = match ethernet.ether_type.get() {
        ethertype::ARP => answer_arp(rest),
        ethertype::IPV4 => answer_ping(rest).then_some(ethernet.dst),
        _ => None,
    };
    let Some(own) = own else { return false };
    let own = if own.is_multicast() { ANSWERS } else { own };
    (ethernet.dst, ethernet.src) = (ethernet.src, own);
    true
}

/// The address that answers for any IPv4 address asked about.
const ANSWERS: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xFE]);

fn answer_arp(bytes: &mut [u8]) -> Option<MacAddr> {
    let (arp, _) = Arp::mut_from_prefix(bytes)?;
    if !arp.is_ipv4() || arp.operation.get() != Arp::REQUEST {
        return None;
    }
    arp.operation = Arp::REPLY.into();
    let asked = arp.target_ip;
    (arp.target_mac, arp.target_ip) = (arp.sender_mac, arp.sender_ip);
    (arp.sender_mac, arp.sender_ip) = (ANSWERS, asked);
    Some(ANSWERS)
}

fn answer_ping(bytes: &mut [u8]) -> bool {
    let Some((ip, _)) = Ipv4::mut_from_prefix(bytes) else { return false };
    let (header, first) = (ip.header_len(), ip.fragment_offset() == 0);
    if ip.protocol != protocol::ICMP || !first || header < size_of::<Ipv4>() {
        return false;
    }
    (ip.src, ip.dst) = (ip.dst, ip.src);
    let Some(icmp) = bytes.get_mut(header..) else { return false };
    let Some((icmp, _)) = Icmp::mut_from_prefix(icmp) else { return false };
    if icmp.kind != Icmp::ECHO_REQUEST {
        return false;
    }
    // RFC 1624: only the type changes.
    let before = u16::from_be_bytes([icmp.kind, icmp.code]);
    let after = u16::from_be_bytes([Icmp::ECHO_REPLY, icmp.code]);
    icmp.checksum = checksum::update_u16(icmp.checksum.get(), before, after).into();
    icmp.kind = Icmp::ECHO_REPLY;
    true
}
