//! Tunnels: on IP (IP, GRE, MPLS, ESP) and on UDP (VXLAN, GENEVE, GTP).

use super::link::Start;
use super::{Layers, Stop, to_offset, transport};
use crate::header::{Geneve, Gre, Gtpu, Vxlan, ethertype, port, protocol};
use crate::packet_type::{L4, Tunnel};

/// A tunnel found behind a set of headers.
pub(super) struct Found {
    pub(super) tunnel: Tunnel,
    /// Where the tunnel's header begins.
    pub(super) offset: u16,
    /// How the packet inside begins, and where, if there is one.
    pub(super) inside: Option<(Start, usize)>,
}

/// Whether the headers end at a tunnel that has no transport header.
pub(super) fn lies_on_ip(layers: &Layers) -> bool {
    layers.l4 == L4::Unknown && layers.flow.is_some_and(|flow| transport::is_tunnel(flow.proto()))
}

/// Looks for a tunnel behind `outer`, which was read without an error.
#[inline]
pub(super) fn find(frame: &[u8], outer: &mut Layers) -> Result<Option<Found>, Stop> {
    match outer.l4 {
        L4::Udp => Ok(on_udp(frame, outer)),
        L4::Unknown if lies_on_ip(outer) => on_ip(frame, outer),
        _ => Ok(None),
    }
}

fn on_ip(frame: &[u8], outer: &mut Layers) -> Result<Option<Found>, Stop> {
    let at = usize::from(outer.l4_offset);
    let (tunnel, inside) = match outer.flow.map_or(0, |flow| flow.proto()) {
        protocol::IPV4 => (Tunnel::Ip, Some((Start::EtherType(ethertype::IPV4), at))),
        protocol::IPV6 => (Tunnel::Ip, Some((Start::EtherType(ethertype::IPV6), at))),
        protocol::MPLS => (Tunnel::Mpls, Some((Start::EtherType(ethertype::MPLS), at))),
        protocol::GRE => return on_gre(frame, outer, at),
        _ => (Tunnel::Esp, None),
    };
    Ok(Some(Found { tunnel, offset: to_offset(at), inside }))
}

fn on_gre(frame: &[u8], outer: &mut Layers, at: usize) -> Result<Option<Found>, Stop> {
    let bytes = &frame[at..outer.end];
    let (first, _) = Gre::ref_from_prefix(bytes).ok_or(Stop::Truncated)?;
    if first.version() != 0 || first.flags_version.get() & Gre::HAS_ROUTING != 0 {
        outer.l4 = L4::Other;
        return Ok(None);
    }
    let (gre, _, payload) = Gre::split(bytes).ok_or(Stop::Truncated)?;
    let start = behind(gre.protocol.get());
    let inside = Some((start, outer.end - payload.len()));
    Ok(Some(Found { tunnel: Tunnel::Gre, offset: to_offset(at), inside }))
}

/// A UDP packet to a tunnel's port whose header does not fit is just a UDP packet.
#[inline]
fn on_udp(frame: &[u8], outer: &Layers) -> Option<Found> {
    let (_, dport) = outer.flow?.ports();
    let offset = outer.payload_offset;
    let payload = outer.payload(frame);
    let (tunnel, inside) = match dport {
        port::VXLAN => (Tunnel::Vxlan, Some(in_vxlan(payload)?)),
        port::GENEVE => (Tunnel::Geneve, Some(in_geneve(payload)?)),
        port::GTPU => (Tunnel::Gtpu, in_gtpu(payload)?),
        port::GTPC => (Tunnel::Gtpc, None),
        _ => return None,
    };
    let inside = inside.map(|(start, rest)| (start, outer.end - rest.len()));
    Some(Found { tunnel, offset, inside })
}

fn in_vxlan(payload: &[u8]) -> Option<(Start, &[u8])> {
    let (vxlan, rest) = Vxlan::ref_from_prefix(payload)?;
    (vxlan.flags & Vxlan::HAS_VNI != 0).then_some((Start::Ethernet, rest))
}

fn in_geneve(payload: &[u8]) -> Option<(Start, &[u8])> {
    let (geneve, _, rest) = Geneve::split(payload)?;
    Some((behind(geneve.protocol.get()), rest))
}

/// The user packet in GTP-U; inner `None` for a message that carries none.
fn in_gtpu(payload: &[u8]) -> Option<Option<(Start, &[u8])>> {
    let (gtp, _, rest) = Gtpu::split(payload)?;
    Some((gtp.message == Gtpu::G_PDU).then(|| (Start::by_version(rest), rest)))
}

/// What begins where a tunnel header names `ether_type`.
fn behind(ether_type: u16) -> Start {
    match ether_type {
        ethertype::TEB => Start::Ethernet,
        other => Start::EtherType(other),
    }
}
