//! The transport layer: which it is, and where its payload begins.

use super::network::Packet;
use super::{Fragment, Layers, Stop, to_offset};
use crate::header::{Icmp, Sctp, Tcp, Udp, protocol};
use crate::packet_type::L4;

impl Layers {
    /// Reads the transport header of `packet`; a tunnel that lies on IP is left to the caller.
    #[inline]
    pub(super) fn read_transport(&mut self, frame: &[u8], packet: Packet) -> Result<(), Stop> {
        if self.fragment != Fragment::None {
            self.l4 = L4::Fragment;
            return Ok(());
        }
        let bytes = &frame[packet.at..self.end];
        match packet.proto {
            protocol::TCP => self.put_transport(L4::Tcp, packet.at, tcp_len(bytes)?, bytes),
            protocol::UDP => self.put_transport(L4::Udp, packet.at, Udp::LEN, bytes),
            protocol::SCTP => self.put_transport(L4::Sctp, packet.at, Sctp::LEN, bytes),
            protocol::ICMP if self.l3.is_ipv4() => {
                self.put_transport(L4::Icmp, packet.at, Icmp::LEN, bytes)
            }
            protocol::ICMPV6 if self.l3.is_ipv6() => {
                self.put_transport(L4::Icmp, packet.at, Icmp::LEN, bytes)
            }
            protocol::IGMP => self.put_transport(L4::Igmp, packet.at, 0, bytes),
            proto if is_tunnel(proto) => Ok(()),
            _ => self.put_transport(L4::Other, packet.at, 0, bytes),
        }
    }

    #[inline]
    fn put_transport(&mut self, l4: L4, at: usize, len: usize, bytes: &[u8]) -> Result<(), Stop> {
        if bytes.len() < len {
            return Err(Stop::Truncated);
        }
        self.l4 = l4;
        self.payload_offset = to_offset(at + len);
        Ok(())
    }
}

fn tcp_len(bytes: &[u8]) -> Result<usize, Stop> {
    let (tcp, _) = Tcp::ref_from_prefix(bytes).ok_or(Stop::Truncated)?;
    let len = tcp.header_len();
    if len < Tcp::LEN { Err(Stop::Malformed) } else { Ok(len) }
}

/// Whether the protocol is a tunnel with no transport header of its own.
pub(super) fn is_tunnel(proto: u8) -> bool {
    use protocol::{ESP, GRE, IPV4, IPV6, MPLS};
    matches!(proto, IPV4 | IPV6 | GRE | ESP | MPLS)
}
