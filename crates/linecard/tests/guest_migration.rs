//! A guest that moves from one QEMU to another while TCP passes between it and this one, through vhost ports of
//! `linecard fwd`, outside: logging begins while the rings run, and they go on in the other QEMU where they were. Two of
//! this guest's cards face the two QEMUs; a bridge learns where the peer is.
//!
//! What it does not show is that each page is logged: it passes without any bit set, as the guest writes to nearly all of
//! those pages itself. The bits are tested in the same process, by `linecard-pmd-vhost`.
//!
//! guest: iommu=none, nodes=1, cpus=2, memory=512, hugepages=0, limit=150
//! guest: chardev=socket,id=c0,path={run}/near0, netdev=vhost-user,id=n0,chardev=c0
//! guest: chardev=socket,id=c1,path={run}/near1, netdev=vhost-user,id=n1,chardev=c1
//! guest: device=virtio-net-pci,id=nic0,netdev=n0,addr=5,vectors=0,disable-legacy=on,mac=52:54:00:00:00:05
//! guest: device=virtio-net-pci,id=nic1,netdev=n1,addr=6,vectors=0,disable-legacy=on,mac=52:54:00:00:00:06
//! guest: modules=virtio_pci+virtio_net+bridge, programs=ip+ping
//! peer: moves=on, chardev=socket,id=c0,path={run}/far{life}, netdev=vhost-user,id=n0,chardev=c0
//! peer: device=virtio-net-pci,id=nic0,netdev=n0,addr=5,vectors=0,disable-legacy=on,mac=52:54:00:00:00:09
//! peer runs: ip address add 198.51.100.2/24 dev eth0
//! peer runs: ip link set eth0 up
//! peer runs: nc -ll -p 7000 -e cat &
//! host: linecard/bin/linecard fwd --offloads pass --idle sleep --port vhost:path={run}/near0 --port vhost:path={run}/far0 --port vhost:path={run}/near1 --port vhost:path={run}/far1

#[expect(dead_code, reason = "this file needs a part of it")]
#[path = "guest_ends/mod.rs"]
mod ends;

use ends::{PATIENCE, eventually};
use linecard_testbed::programs::Program;
use linecard_testbed::{Need, guest, needs};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

const NICS: [&str; 2] = ["0000:00:05.0", "0000:00:06.0"];
const PEER: &str = "198.51.100.2";

fn ip(words: &str) {
    Program::new("ip").words(words).run().unwrap();
}

/// Pings that the peer answers.
fn answered(count: u32) -> bool {
    let words = format!("-n -q -i 0.1 -W 5 -c {count} {PEER}");
    Program::new("ping").words(&words).finish().unwrap().stdout.contains(" 0% packet loss")
}

/// Sends bytes to the peer, which sends them back.
fn exchange(stream: &mut TcpStream, round: u32) {
    let there: Vec<u8> = (0..20_000u32).map(|at| (at * 7 + at / 251 + round) as u8).collect();
    stream.write_all(&there).unwrap();
    let mut back = vec![0; there.len()];
    stream.read_exact(&mut back).unwrap();
    assert!(back == there, "round {round}: other bytes came back");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_connection_outlives_the_move_of_its_other_end() {
    if !needs(&[Need::Guest]) {
        return;
    }
    ip("link add br0 type bridge forward_delay 0");
    for nic in NICS {
        let name = guest::interface_of(nic).expect("an interface");
        ip(&format!("link set {name} master br0 up"));
    }
    ip("address add 198.51.100.1/24 dev br0");
    ip("link set br0 up");
    eventually("the peer answers", || answered(1));
    let mut stream = TcpStream::connect((PEER, 7000)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    (0..20).for_each(|round| exchange(&mut stream, round));
    guest::monitor("peer: migrate -d unix:{run}/move").unwrap();
    let (start, mut round) = (Instant::now(), 20);
    loop {
        exchange(&mut stream, round);
        round += 1;
        let said = guest::monitor("peer: info migrate").unwrap();
        if said.contains("Migration status: completed") {
            break;
        }
        assert!(!said.contains("failed") && start.elapsed() < PATIENCE, "{said}");
    }
    assert!(round > 21, "nothing passed while the guest moved");
    (round..round + 50).for_each(|round| exchange(&mut stream, round));
    assert!(answered(10));
}
