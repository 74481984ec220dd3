//! From a flow to its queue, and from a queue to flows.

use linecard_net::FlowKey;
use linecard_net::rss::{RssKey, RssTypes, ToeplitzKey, rss_hash_flow};
use std::ops::RangeInclusive;

/// How a port with RSS spreads flows over its queues: key, kinds of packets, indirection table.
///
/// With [`RssKey::SYMMETRIC`] both directions of a flow come in by one queue.
#[derive(Clone, Debug)]
pub struct Steering {
    key: Box<ToeplitzKey>,
    types: RssTypes,
    table: Vec<u16>,
}

/// The indirection table has no length that a NIC's has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an indirection table of {len} entries: 1 to 65536 are possible, a power of two")]
pub struct NoTable {
    /// How many entries were given.
    pub len: usize,
}

/// Which of a flow's ports may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// For flows of our own.
    Source,
    /// For answers to them.
    Destination,
}

impl Steering {
    /// As the NIC is configured.
    ///
    /// # Errors
    /// [`NoTable`] unless the table's length is a power of two up to 65536.
    pub fn new(key: &RssKey, types: RssTypes, table: Vec<u16>) -> Result<Self, NoTable> {
        let len = table.len();
        if !len.is_power_of_two() || len > 1 << 16 {
            return Err(NoTable { len });
        }
        Ok(Self { key: Box::new(ToeplitzKey::new(key)), types, table })
    }

    /// With a table of 128 entries that goes through the queues, as most drivers begin with.
    ///
    /// # Errors
    /// [`NoTable`] if there is no queue.
    pub fn round_robin(key: &RssKey, types: RssTypes, queues: u16) -> Result<Self, NoTable> {
        Self::new(key, types, (0..queues).cycle().take(128).collect())
    }

    /// The queue by which a packet of `flow` comes in; `None` if it is not hashed.
    pub fn queue(&self, flow: &FlowKey) -> Option<u16> {
        rss_hash_flow(flow, self.types, &self.key).map(|hash| self.queue_of(hash))
    }

    /// The queue of a hash.
    #[inline]
    pub fn queue_of(&self, hash: u32) -> u16 {
        self.table[hash as usize & (self.table.len() - 1)]
    }

    /// The ports among `among` that, in the place of `flow`'s, make it come in by `queue`.
    ///
    /// One in as many as there are queues does, so that the first comes at once: the hash is linear, and
    /// the ports are spread evenly. None if the port is not hashed and the flow goes elsewhere.
    pub fn ports_to(
        &self,
        queue: u16,
        flow: FlowKey,
        which: Port,
        among: RangeInclusive<u16>,
    ) -> impl Iterator<Item = u16> {
        among.filter(move |port| self.queue(&with_port(flow, which, *port)) == Some(queue))
    }
}

fn with_port(mut flow: FlowKey, which: Port, port: u16) -> FlowKey {
    match (&mut flow, which) {
        (FlowKey::V4 { sport, .. } | FlowKey::V6 { sport, .. }, Port::Source) => *sport = port,
        (FlowKey::V4 { dport, .. } | FlowKey::V6 { dport, .. }, Port::Destination) => *dport = port,
    }
    flow
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn steering(key: &RssKey, queues: u16) -> Steering {
        Steering::round_robin(key, RssTypes::all(), queues).unwrap()
    }

    #[test]
    fn a_table_that_no_nic_has_is_an_error() {
        let new = |table| Steering::new(&RssKey::MICROSOFT, RssTypes::all(), table).unwrap_err();
        assert_eq!(new(vec![]), NoTable { len: 0 });
        assert_eq!(new(vec![0; 100]), NoTable { len: 100 });
    }

    #[test]
    fn where_ports_are_not_hashed_none_leads_elsewhere() {
        let table = vec![0, 1];
        let steering = Steering::new(&RssKey::MICROSOFT, RssTypes::IPV4, table).unwrap();
        let (src, dst) = ([192, 0, 2, 1].into(), [198, 51, 100, 7].into());
        let flow = FlowKey::V4 { src, dst, sport: 1, dport: 2, proto: 6 };
        let there = steering.queue(&flow).unwrap();
        let count = |queue| steering.ports_to(queue, flow, Port::Source, 0..=999).count();
        assert_eq!((count(there), count(1 - there)), (1000, 0));
    }

    proptest! {
        #[test]
        fn a_chosen_port_leads_to_its_queue(
            src: [u8; 4], dst: [u8; 4], other: u16, queues in 1_u16..17, queue: u16, first in 0..60_000_u16,
        ) {
            let queue = queue % queues;
            let (steering, which) = (steering(&RssKey::MICROSOFT, queues), Port::Destination);
            let flow = FlowKey::V4 { src: src.into(), dst: dst.into(), sport: other, dport: 0, proto: 17 };
            let port = steering.ports_to(queue, flow, which, first..=first + 5000).next().unwrap();
            prop_assert_eq!(steering.queue(&with_port(flow, which, port)), Some(queue));
        }

        #[test]
        fn both_directions_share_a_queue_under_the_symmetric_key(
            src: [u8; 16], dst: [u8; 16], sport: u16, dport: u16, queues in 1_u16..17,
        ) {
            let flow = FlowKey::V6 { src: src.into(), dst: dst.into(), sport, dport, proto: 6 };
            let steering = steering(&RssKey::SYMMETRIC, queues);
            prop_assert_eq!(steering.queue(&flow), steering.queue(&flow.reversed()));
        }
    }
}
