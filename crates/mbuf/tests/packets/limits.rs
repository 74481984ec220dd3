//! Limits, and whether the words help.

use crate::{described, packet, pool};
use linecard_eal::mem::IovaMode;
use linecard_mbuf::{DATA_ROOM, HEADROOM};
use linecard_mempool::Needs;

#[test]
fn a_pool_has_the_usual_room_by_default() {
    let pool = pool(4);
    assert_eq!((pool.headroom(), pool.data_room()), (HEADROOM, DATA_ROOM));
    assert_eq!((HEADROOM, DATA_ROOM), (128, 2048));
    let packet = pool.alloc().unwrap();
    assert_eq!((packet.headroom(), packet.tailroom()), (128, 2048));
    assert_eq!((pool.size(), pool.available(), pool.in_use(), pool.name()), (4, 3, 1, "tests"));
}

#[test]
fn room_is_refused_if_it_is_too_little_or_too_much() {
    for (head, room, fits) in [
        (0, 63, false),
        (0, 64, true),
        (64, 0, true),
        (128, 65_407, true),
        (128, 65_408, false),
        (usize::MAX, 1, false),
    ] {
        let built = described(2).headroom(head).data_room(room).build();
        assert_eq!(built.is_ok(), fits, "{head} and {room}");
        if let Err(refused) = built {
            assert!(refused.to_string().contains("64 to 65535"), "{refused}");
        }
    }
}

#[test]
fn the_largest_buffers_may_be_filled() {
    let pool = described(2).headroom(0).data_room(65_535).build().unwrap();
    let mut full = packet(&pool, &[9; 65_535]);
    assert_eq!((full.len(), full.tailroom()), (65_535, 0));
    full.adjust(65_535).unwrap();
    full.prepend(65_535).unwrap();
    full.chain(packet(&pool, &[8; 65_535])).unwrap();
    assert_eq!(full.len(), 131_070);
    drop(full);
    assert_eq!(pool.available(), 2);
}

#[test]
fn what_mempool_refuses_is_refused() {
    let needs = Needs::new().rx_descriptors(1000);
    let refused = described(100).needs(needs).build().unwrap_err().to_string();
    assert!(refused.contains("1000 in receive descriptors"), "{refused}");
}

#[test]
fn an_edit_without_room_says_how_much_there_is() {
    let pool = pool(1);
    let mut packet = packet(&pool, b"data");
    let texts = [
        (packet.prepend(129).unwrap_err(), "129 bytes asked for, 128 of headroom left"),
        (packet.append(2045).unwrap_err(), "2045 bytes asked for, 2044 of tailroom left"),
        (packet.adjust(5).unwrap_err(), "5 bytes asked for, 4 in the first segment"),
        (packet.trim(5).unwrap_err(), "5 bytes asked for, 4 in the packet"),
    ];
    texts.iter().for_each(|(refused, text)| assert_eq!(refused.to_string(), *text));
    assert_eq!(packet.data(), b"data");
    assert!(packet.prepend(usize::MAX).is_err() && packet.append(usize::MAX).is_err());
}

#[test]
fn physical_addresses_are_told_of_contiguous_buffers_only() {
    // Small pages are seldom neighbours; without privilege there are no physical addresses at all.
    if let Err(refused) = described(500).iova(IovaMode::Physical).build() {
        let text = refused.to_string();
        assert!(text.contains("huge pages") || text.contains("CAP_SYS_ADMIN"), "{text}");
    }
}

#[test]
fn packets_outlive_their_pool() {
    let pool = pool(8);
    let (one, shared) = (packet(&pool, b"one"), packet(&pool, b"two").share());
    let alias = shared.alias(&pool).unwrap();
    drop((pool, shared));
    assert_eq!((one.data(), alias.data()), (&b"one"[..], &b"two"[..]));
}

#[cfg(debug_assertions)]
#[test]
fn bytes_of_a_packet_that_is_gone_are_watched() {
    let pool = pool(1);
    let gone = packet(&pool, b"gone");
    let place = gone.place().address;
    drop(gone);
    // SAFETY: memory of a pool that is alive; the write is the fault that is to be found.
    unsafe { place.write(1) };
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.alloc()));
    let text = found.unwrap_err();
    assert!(text.downcast_ref::<String>().unwrap().contains("use after free"));
}
