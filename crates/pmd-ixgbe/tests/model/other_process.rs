//! The driver on cards behind vfio-user sockets, as a model in another process is.

use linecard_eal::vfio_user::UserDevice;
use linecard_ixgbe_model::Identity;
use linecard_ixgbe_model::front::vfio_user::UserCard;
use linecard_ixgbe_model::wire::cable;
use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::{Port, PortConfig, Queues, Started};
use linecard_pmd_ixgbe::{IxgbeOptions, IxgbePort};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn start(path: &Path, pool: &MbufPool) -> (Port<Started>, Queues) {
    let device = UserDevice::open(path).expect("a device");
    let port = IxgbePort::open(Box::new(device), IxgbeOptions::new()).expect("an 82599");
    Port::open(port).configure(PortConfig::new(pool)).expect("it can").start().expect("it starts")
}

#[test]
fn frames_pass_between_two_cards_behind_sockets() {
    let folder = tempfile::tempdir().expect("a folder");
    let [left, right] = ["left", "right"].map(|name| folder.path().join(name));
    let (one, other) = cable().expect("a cable");
    let cards = [(&left, 1, one), (&right, 2, other)].map(|(path, last, plug)| {
        let identity = Identity { mac: [2, 0, 0, 0, 0, last], ..Identity::default() };
        Arc::new(UserCard::listen(path, identity, plug).expect("a socket"))
    });
    let pool = MbufPool::builder("packets").size(2047).build().expect("a pool");
    // Threads of their own: a test that fails does not wait for a card that nobody calls.
    let served = cards.each_ref().map(|card| {
        let card = card.clone();
        std::thread::spawn(move || card.serve())
    });
    let (from, mut sends) = start(&left, &pool);
    let (to, mut receives) = start(&right, &pool);
    let mut burst = Burst::new();
    for len in 60..92 {
        let mut packet = pool.alloc().expect("a buffer");
        packet.append(len).expect("room").fill(0xFF);
        burst.push(packet).expect("room");
    }
    assert_eq!(sends.tx[0].send(&mut burst), 32);
    let (mut got, begin) = (Vec::new(), Instant::now());
    while got.len() < 32 && begin.elapsed() < Duration::from_secs(30) {
        receives.rx[0].receive(&mut burst);
        got.extend(burst.drain(32).map(|packet| packet.len()));
    }
    assert_eq!(got, (60..92).collect::<Vec<_>>());
    drop((sends, receives, from, to));
    let ended = served.map(|thread| thread.join().expect("it ends"));
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    assert_eq!(pool.in_use(), 0);
    for card in &cards {
        let faults = card.device().lock().expect("not poisoned").take_journal().dma_faults;
        assert!(faults.is_empty(), "{faults:?}");
    }
}
