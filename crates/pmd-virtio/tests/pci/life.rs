//! How ports live and end: sleeping, stopping, one queue after the other, either interface.

use crate::bed::{Bench, bench, frame, open, options, pool};
use crate::conformance::legacy;
use crate::device::{Offer, everything};
use linecard_eal::event::{Epoll, Wake};
use linecard_mbuf::Burst;
use linecard_net::MacAddr;
use linecard_pmd_core::{Event, Link, PortConfig, Promiscuous};
use linecard_pmd_virtio::{Interface, PciOptions};
use linecard_virtqueue::Features;
use std::time::Duration;

/// Whether something is readable now.
fn is_ready(file: &impl std::os::fd::AsFd) -> bool {
    let epoll = Epoll::new().unwrap();
    epoll.add(file, 0).unwrap();
    !epoll.wait(&mut [Wake::default()], Some(Duration::ZERO)).unwrap().is_empty()
}

#[test]
fn a_receive_queue_is_slept_on_with_a_vector_of_its_own() {
    let mut bench = bench(everything(), |c| c.rx_queues(2).tx_queues(2));
    for queue in [0, 1] {
        let packet = frame(&bench.pool, 1, 100);
        let bell = bench.queues.rx[queue].arm().expect("it can be slept on").0;
        let bell = bell.try_clone_to_owned().unwrap();
        assert!(!is_ready(&bell));
        let mut burst = Burst::new();
        burst.push(packet).unwrap();
        bench.queues.tx[queue].send(&mut burst);
        assert!(is_ready(&bell));
        assert_eq!(bench.queues.rx[queue].receive(&mut burst), 1);
    }
    bench.end();
}

#[test]
fn with_too_few_vectors_queues_are_polled_only() {
    let mut bench = bench(Offer { vectors: 2, ..everything() }, |c| c.rx_queues(2).tx_queues(2));
    assert!(bench.queues.rx[0].arm().is_none());
    bench.assert_alive();
    bench.end();
}

#[test]
fn a_queue_that_is_dropped_gives_its_buffers_back_while_the_port_runs() {
    let mut bench = bench(everything(), |c| c.rx_queues(2).tx_queues(2).rx_descriptors(64));
    let held = bench.pool.in_use();
    drop(bench.queues.rx.pop());
    assert_eq!(bench.pool.in_use(), held - 64);
    bench.assert_alive();
    bench.end();
}

#[test]
fn without_ring_reset_buffers_of_a_dropped_queue_wait_for_the_port_to_stop() {
    let offer = everything().without(Features::RING_RESET);
    let mut bench = bench(offer, |c| c.rx_queues(2).tx_queues(2).rx_descriptors(64));
    let held = bench.pool.in_use();
    drop(bench.queues.rx.pop());
    assert_eq!(bench.pool.in_use(), held);
    bench.end();
}

#[test]
fn the_legacy_interface_carries_frames_with_headers_of_ten_bytes_and_of_twelve() {
    for features in [Features::empty(), Features::MRG_RXBUF] {
        for vectors in [3, 0] {
            let offer = Offer { vectors, ..legacy() }.without(Features::MRG_RXBUF - features);
            let (fake, mut port) = open_legacy(offer, options());
            let can = port.info().capabilities.clone();
            assert_eq!((can.rx_descriptors.max, can.rx_descriptors.min), (128, 128));
            assert_eq!(port.mac(), MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]));
            port.set_mac(MacAddr([2, 0, 0, 0, 0, 3])).unwrap();
            port.set_promiscuous(Promiscuous::On).unwrap();
            let pool = pool();
            let (port, queues) = port.configure(PortConfig::new(&pool)).unwrap().start().unwrap();
            assert_eq!(fake.mac(), [2, 0, 0, 0, 0, 3]);
            assert_eq!(fake.commands()[0], (0, 0, vec![1]));
            let mut bench = Bench { fake, pool, port, queues };
            for len in [60, 64, 1000, 1514] {
                let packet = frame(&bench.pool, len, len);
                assert_eq!(bench.round(0, packet).expect("back").len(), len);
            }
            bench.end();
        }
    }
}

fn open_legacy(
    offer: Offer,
    options: PciOptions,
) -> (crate::device::Fake, linecard_pmd_core::Port<linecard_pmd_core::Opened>) {
    open(offer, options.interface(Interface::Legacy).translated()).expect("it can be driven")
}

#[test]
fn a_transitional_device_is_driven_as_a_modern_one_unless_told_otherwise() {
    let offer = Offer { legacy: true, ..everything() };
    let (_fake, port) = open(offer.clone(), options()).unwrap();
    assert_eq!(port.info().capabilities.rx_queues, 4);
    let error = open(everything(), options().interface(Interface::Legacy)).unwrap_err().to_string();
    assert!(error.contains("no legacy virtio device"), "{error}");
}

#[test]
fn a_device_that_fails_has_no_link_until_the_port_is_started_again() {
    let mut bench = bench(everything(), |c| c);
    bench.fake.fail();
    assert_eq!(bench.port.next_event().unwrap(), Some(Event::Link(Link::DOWN)));
    drop(bench.queues);
    let (mut port, queues) = bench.port.stop().unwrap().start().unwrap();
    assert!(port.link().unwrap().is_up());
    let mut bench = Bench { port, queues, ..bench };
    bench.assert_alive();
    bench.end();
}

#[test]
fn a_device_that_is_pulled_says_so_once_and_its_buffers_come_home() {
    let mut bench = bench(everything(), |c| c);
    bench.fake.pull();
    assert_eq!(bench.port.next_event().unwrap(), Some(Event::Gone));
    assert_eq!(bench.port.next_event().unwrap(), None);
    assert!(!bench.port.link().unwrap().is_up());
    let port = bench.port.stop().expect("it is as stopped as can be");
    drop((port, bench.queues));
    assert_eq!(bench.pool.in_use(), 0);
}
