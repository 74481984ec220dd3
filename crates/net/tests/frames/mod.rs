//! Random frames, written from the specifications without the crate's own builder.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// An Ethernet frame: tags, IP with options or extensions, a transport, maybe a tunnel.
pub(crate) fn frame() -> impl Strategy<Value = Vec<u8>> {
    let inner = ethernet(packet(plain_body()));
    let inner_ip = packet(plain_body());
    ethernet(packet(prop_oneof![3 => plain_body(), 1 => tunnel_body(inner, inner_ip)]))
}

/// A frame from [`frame`] with bytes overwritten, and cut short.
pub(crate) fn broken_frame() -> impl Strategy<Value = Vec<u8>> {
    (frame(), vec((any::<Index>(), any::<u8>()), 0..6), any::<Index>(), any::<bool>()).prop_map(
        |(mut frame, edits, cut, cut_short)| {
            for (at, value) in edits {
                // Headers are in front: most edits go there.
                let at = at.index(frame.len().min(96));
                frame[at] = value;
            }
            if cut_short {
                frame.truncate(cut.index(frame.len() + 1));
            }
            frame
        },
    )
}

/// What goes into an IP packet: its protocol and its bytes.
type Body = (u8, Vec<u8>);

fn ethernet(packet: impl Strategy<Value = (u16, Vec<u8>)>) -> impl Strategy<Value = Vec<u8>> {
    let tags = vec((select(&[0x8100_u16, 0x88a8, 0x9100]), any::<u16>()), 0..3);
    (any::<[u8; 12]>(), tags, packet, 0_usize..20).prop_map(
        |(addresses, tags, (ether_type, packet), padding)| {
            let mut frame = addresses.to_vec();
            for (tag_type, tci) in tags {
                frame.extend(tag_type.to_be_bytes());
                frame.extend(tci.to_be_bytes());
            }
            frame.extend(ether_type.to_be_bytes());
            frame.extend(packet);
            frame.extend(vec![0; padding]);
            frame
        },
    )
}

fn packet(body: impl Strategy<Value = Body>) -> impl Strategy<Value = (u16, Vec<u8>)> {
    let fragment =
        prop_oneof![8 => Just(0_u16), 1 => Just(0x2000), 1 => Just(0x2007), 1 => Just(9)];
    (body, any::<bool>(), any::<[u8; 32]>(), fragment, 0_usize..=10, 0_u8..16).prop_map(
        |(body, is_v4, addresses, fragment, option_words, extensions)| {
            if is_v4 {
                (0x0800, ipv4(body, &addresses, fragment, option_words / 4))
            } else {
                (0x86dd, ipv6(body, &addresses, fragment, extensions))
            }
        },
    )
}

fn ipv4((proto, body): Body, addresses: &[u8; 32], fragment: u16, words: usize) -> Vec<u8> {
    let header_len = 20 + words * 4;
    let mut packet = vec![0x40 | (header_len / 4) as u8, 0];
    packet.extend(((header_len + body.len()) as u16).to_be_bytes());
    packet.extend([0, 1]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, proto, 0, 0]);
    packet.extend(&addresses[..8]);
    packet.extend(vec![1; words * 4]);
    packet.extend(body);
    packet
}

/// Extension headers by the bits of `extensions`: hop-by-hop, destination options, routing, AH;
/// a fragment header when `fragment` is not 0.
fn ipv6((proto, body): Body, addresses: &[u8; 32], fragment: u16, extensions: u8) -> Vec<u8> {
    let wanted = [(0, 1), (60, 2), (43, 4)].into_iter().filter(|(_, bit)| extensions & bit != 0);
    let mut kinds: Vec<u8> = wanted.map(|(kind, _)| kind).collect();
    if fragment != 0 {
        kinds.push(44);
    }
    if extensions & 8 != 0 {
        kinds.push(51);
    }
    let mut chain = Vec::new();
    for (n, kind) in kinds.iter().enumerate() {
        let next = kinds.get(n + 1).copied().unwrap_or(proto);
        chain.extend(match kind {
            44 => {
                let field = (fragment & 0x1fff) << 3 | fragment >> 13;
                vec![next, 0, (field >> 8) as u8, field as u8, 0, 0, 0, 1]
            }
            51 => vec![next, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3],
            _ => vec![next, 0, 1, 0, 0, 0, 0, 0],
        });
    }
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(((chain.len() + body.len()) as u16).to_be_bytes());
    packet.extend([kinds.first().copied().unwrap_or(proto), 64]);
    packet.extend(addresses);
    packet.extend(chain);
    packet.extend(body);
    packet
}

fn plain_body() -> impl Strategy<Value = Body> {
    let proto = select(&[6_u8, 6, 17, 17, 132, 1, 58, 2, 89]);
    (proto, any::<u16>(), any::<u16>(), vec(any::<u8>(), 1..60), 0_usize..4).prop_map(
        |(proto, sport, dport, payload, words)| {
            let mut body = Vec::new();
            match proto {
                6 => body.extend(tcp(sport, dport, words)),
                17 => body.extend(udp(sport, dport, payload.len())),
                132 => body.extend(ports(sport, dport, 12)),
                // A kind of ICMP message that is not defined, for only the first bytes matter.
                1 | 58 => body.extend([200, 0, 0, 0, 0, 0, 0, 0]),
                2 => body.extend([0x16, 0, 0, 0, 224, 0, 0, 1]),
                _ => {}
            }
            body.extend(payload);
            (proto, body)
        },
    )
}

fn ports(sport: u16, dport: u16, len: usize) -> Vec<u8> {
    let mut header = vec![0; len];
    header[..2].copy_from_slice(&sport.to_be_bytes());
    header[2..4].copy_from_slice(&dport.to_be_bytes());
    header
}

fn tcp(sport: u16, dport: u16, words: usize) -> Vec<u8> {
    let mut header = ports(sport, dport, 20 + words * 4);
    header[12] = ((5 + words) << 4) as u8;
    header[20..].fill(1);
    header
}

fn udp(sport: u16, dport: u16, payload: usize) -> Vec<u8> {
    let mut header = ports(sport, dport, 8);
    header[4..6].copy_from_slice(&((8 + payload) as u16).to_be_bytes());
    header
}

fn tunnel_body(
    inner: impl Strategy<Value = Vec<u8>>,
    inner_ip: impl Strategy<Value = (u16, Vec<u8>)>,
) -> impl Strategy<Value = Body> {
    (0_u8..6, inner, inner_ip, any::<u8>()).prop_map(|(kind, frame, (ether_type, ip), flags)| {
        let over_udp = |dport, header: &[u8], inside: &[u8]| {
            let body = [header, inside].concat();
            (17, [udp(0xc000, dport, body.len()), body].concat())
        };
        let [high, low] = ether_type.to_be_bytes();
        match kind {
            0 => over_udp(4789, &[8, 0, 0, 0, 1, 2, 3, 0], &frame),
            1 => over_udp(6081, &[1, 0, 0x65, 0x58, 1, 2, 3, 0, 0, 0, 0, 0], &frame),
            2 => over_udp(2152, &[0x30, 255, 0, 0, 0, 0, 0, 9], &ip),
            3 => over_udp(2152, &[0x34, 255, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0x85, 1, 0, 0, 0], &ip),
            4 => {
                let flags = flags & 0xb0;
                let optional = vec![0; 4 * flags.count_ones() as usize];
                (47, [vec![flags, 0, high, low], optional, ip].concat())
            }
            _ => (if ether_type == 0x0800 { 4 } else { 41 }, ip),
        }
    })
}
