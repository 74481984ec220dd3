//! Routes that change while others look addresses up: `cargo run --example routes`.
#![expect(clippy::print_stdout, reason = "an example shows what it finds")]

use linecard_flow_classify::lpm::{NextHop, Prefix, Routes};
use std::net::Ipv4Addr;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hop = |number| NextHop::new(number).ok_or("a next hop has 31 bits");
    let mut routes = Routes::new();
    routes.insert(Prefix::all(), hop(1)?)?;
    routes.insert("192.0.2.0/24".parse()?, hop(2)?)?;
    let reader = routes.reader();
    let network = std::thread::spawn(move || {
        let packets = [Ipv4Addr::new(192, 0, 2, 7), Ipv4Addr::new(203, 0, 113, 1)];
        let mut found = [None; 2];
        reader.lookup_bulk(&packets, &mut found);
        packets.into_iter().zip(found).for_each(|(to, via)| println!("{to} via {via:?}"));
    });
    routes.insert("192.0.2.0/29".parse()?, hop(3)?)?;
    network.join().map_err(|_| "the reader failed")?;
    for (prefix, next_hop) in routes.covered("192.0.2.0/24".parse()?) {
        println!("{prefix} leads to {}", next_hop.number());
    }
    Ok(())
}
