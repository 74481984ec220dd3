//! Cards behind vfio-user sockets: the model of an 82599 in another process than the program.

use crate::{last_line, linecard};
use linecard_ixgbe_model::front::vfio_user::UserCard;
use linecard_ixgbe_model::{Identity, wire};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// A card that serves one driver; and the other end of its wire.
struct Card {
    wire: UnixDatagram,
    /// Says what accesses to memory were refused.
    served: JoinHandle<usize>,
}

impl Card {
    fn at(path: &Path, number: u8) -> Self {
        let (here, there) = UnixDatagram::pair().expect("sockets");
        here.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket");
        let identity = Identity { mac: [2, 0, 0, 0, 0, number], ..Identity::default() };
        let plug = wire::datagrams(there).expect("a wire");
        let card = UserCard::listen(path, identity, plug).expect("a socket");
        let served = std::thread::spawn(move || {
            card.serve().expect("a driver that keeps to the protocol");
            card.device().lock().expect("not poisoned").take_journal().dma_faults.len()
        });
        Card { wire: here, served }
    }

    /// The next frame that the card sends, if one comes soon.
    fn take(&self) -> Option<Vec<u8>> {
        let mut frame = [0; 2048];
        self.wire.recv(&mut frame).ok().map(|len| frame[..len].to_vec())
    }
}

/// A frame for somebody else.
fn frame(number: u8) -> Vec<u8> {
    let mut frame = vec![number; 100];
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 0x70, 2, 0, 0, 0, 0, 0x71]);
    frame
}

/// Sends until frames come out of the other card, and then some more, each of which must.
fn pass(from: &Card, to: &Card) {
    let begin = Instant::now();
    while to.take().is_none() {
        assert!(begin.elapsed() < PATIENCE, "nothing is forwarded");
        let _ = from.wire.send(&frame(0));
    }
    while to.take().is_some() {}
    for number in 1..=100 {
        from.wire.send(&frame(number)).expect("a wire");
        let got = (0..100).find_map(|_| to.take());
        assert!(got.is_some_and(|got| got == frame(number)), "frame {number}");
    }
}

#[test]
fn frames_are_forwarded_between_two_cards_of_another_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
    let cards = [Card::at(&one, 1), Card::at(&other, 2)];
    let ports = [&one, &other].map(|path| format!("--port pci:vfio-user={}", path.display()));
    let forwarder = linecard(&format!("fwd --json {}", ports.join(" ")));
    let running = forwarder.spawn().expect("it starts");
    pass(&cards[0], &cards[1]);
    pass(&cards[1], &cards[0]);
    let said = running.interrupt(PATIENCE).expect("it ends in order");
    let total = &last_line(&said)["total"];
    assert!(total["packets"].as_u64().is_some_and(|packets| packets >= 200), "{total}");
    let faults = cards.map(|card| card.served.join().expect("it serves"));
    assert_eq!(faults, [0, 0], "accesses to memory that was not the card's");
}
