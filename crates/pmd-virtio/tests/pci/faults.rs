//! Devices that are not what they should be: each is an error that says what is wrong, and none takes
//! anything along.

use crate::bed::{bench, frame, open, options, pool, refusal};
use crate::conformance::legacy;
use crate::device::{Fault, Offer, everything};
use linecard_pmd_core::{Error, PortConfig, TxOffloads};
use linecard_pmd_virtio::{Choice, Interface, RingOptions};
use linecard_virtqueue::Features;

#[test]
fn a_structure_that_is_absent_misplaced_or_short_is_named() {
    for (number, name) in [
        (1, "common configuration"),
        (2, "notification"),
        (3, "interrupt status"),
        (4, "device configuration"),
    ] {
        let absent = refusal(everything().with(Fault::Lacks(number)));
        assert!(absent.contains(&format!("no {name} structure")), "{absent}");
        if number != 3 {
            let crooked = refusal(everything().with(Fault::Crooked(number)));
            assert!(crooked.contains(name) && crooked.contains("multiple"), "{crooked}");
            let short = refusal(everything().with(Fault::Short(number)));
            assert!(short.contains(name) && short.contains("must have"), "{short}");
            let beyond = refusal(everything().with(Fault::Beyond(number)));
            assert!(beyond.contains("beyond"), "{beyond}");
        }
    }
    let circle = refusal(everything().with(Fault::Circle));
    assert!(circle.contains("circle"), "{circle}");
}

#[test]
fn queues_of_no_size_or_a_crooked_one_are_refused() {
    for (sizes, words) in [
        ([0, 256, 64], "it is not there"),
        ([256, 0, 64], "it is not there"),
        ([100, 256, 64], "a power of two"),
        ([256, 256, 2], "three descriptors"),
    ] {
        let offer = Offer { sizes, ..everything() }.without(Features::RING_PACKED);
        let error = refusal(offer);
        assert!(error.contains(words), "{error}");
    }
    let large = Offer { sizes: [8192, 256, 64], ..legacy() };
    let error =
        open(large, options().interface(Interface::Legacy).translated()).unwrap_err().to_string();
    assert!(error.contains("not supported"), "{error}");
    let crooked = Offer { sizes: [256, 256, 5], ..legacy() };
    let options = options().interface(Interface::Legacy).translated();
    let error = open(crooked, options).unwrap_err().to_string();
    assert!(error.contains("queue 2") && error.contains("a power of two"), "{error}");
}

#[test]
fn a_split_ring_of_a_device_with_packed_ones_of_any_size_has_a_power_of_two() {
    let offer = Offer { sizes: [100, 77, 64], ..everything() };
    let (fake, port) = open(offer, options()).unwrap();
    assert_eq!(port.info().capabilities.rx_descriptors.max, 64);
    let pool = pool();
    let (port, queues) = port.configure(PortConfig::new(&pool)).unwrap().start().unwrap();
    let mut bench = crate::bed::Bench { fake, pool, port, queues };
    (0..300).for_each(|_| bench.assert_alive());
    bench.end();
}

#[test]
fn a_packed_ring_of_any_size_is_taken() {
    let offer = Offer { sizes: [100, 77, 5], ..everything() };
    let rings = RingOptions { packed: Choice::On, ..RingOptions::default() };
    let (fake, port) = open(offer, options().rings(rings)).unwrap();
    assert_eq!(port.info().capabilities.rx_descriptors.max, 100);
    let pool = pool();
    let (port, queues) = port.configure(PortConfig::new(&pool)).unwrap().start().unwrap();
    let mut bench = crate::bed::Bench { fake, pool, port, queues };
    (0..300).for_each(|_| bench.assert_alive());
    bench.end();
}

#[test]
fn a_device_that_would_not_heed_its_iommu_is_refused() {
    let error = refusal(everything().without(Features::ACCESS_PLATFORM));
    assert!(error.contains("iommu_platform=on"), "{error}");
    let error = refusal(everything().without(Features::VERSION_1));
    assert!(error.contains("VERSION_1"), "{error}");
}

#[test]
fn a_device_that_never_resets_is_given_up_in_time() {
    let error = open(everything().with(Fault::NeverResets), options()).unwrap_err();
    assert!(matches!(&error, Error::System { .. }), "{error}");
    assert!(error.to_string().contains("did not come out of its reset"), "{error}");
}

#[test]
fn what_goes_wrong_at_a_start_is_told_and_takes_no_buffer_along() {
    for (fault, words) in [
        (Fault::RefusesFeatures, "refuses them"),
        (Fault::KeepsSizes, "did not take 128 descriptors"),
        (Fault::NoVectors, "no vector"),
        (Fault::EnabledAfterReset, "in use already"),
    ] {
        let (fake, port) = open(everything().with(fault), options()).unwrap();
        let pool = pool();
        let config = PortConfig::new(&pool).rx_descriptors(128);
        let refused = port.configure(config).unwrap().start().unwrap_err();
        assert!(refused.to_string().contains(words), "{fault:?}: {refused}");
        assert_eq!((pool.in_use(), fake.is_bus_master()), (0, false));
    }
    for (fault, words) in [(Fault::FewerQueues, "it says 0"), (Fault::FarBell, "beyond")] {
        let (fake, port) = open(everything().with(fault), options()).unwrap();
        let pool = pool();
        let config = PortConfig::new(&pool).rx_queues(2).tx_queues(2);
        let refused = port.configure(config).unwrap().start().unwrap_err();
        assert!(refused.to_string().contains(words), "{fault:?}: {refused}");
        assert_eq!((pool.in_use(), fake.is_bus_master()), (0, false));
    }
    let error = refusal(everything().with(Fault::Restless));
    assert!(error.contains("all the time"), "{error}");
}

#[test]
fn a_device_that_does_not_stop_loses_bus_mastering_and_the_port_ends() {
    let bench = bench(everything(), |c| c);
    bench.fake.spoil(Fault::NeverResets);
    let port = bench.port.stop().expect("without bus mastering it reaches nothing");
    assert!(!bench.fake.is_bus_master());
    drop(bench.queues);
    assert_eq!(bench.pool.in_use(), 0);
    let refused = port.start().unwrap_err();
    assert!(refused.to_string().contains("reset"), "{refused}");
}

#[test]
fn a_device_that_keeps_bus_mastering_too_keeps_its_memory() {
    let bench = bench(everything(), |c| c.rx_descriptors(64));
    bench.fake.spoil(Fault::NeverResets);
    bench.fake.spoil(Fault::Unstoppable);
    let refused = bench.port.stop().unwrap_err();
    assert!(refused.to_string().contains("did not come out of its reset"), "{refused}");
    drop((refused, bench.queues));
    assert_eq!(bench.pool.in_use(), 64, "buffers that the device may still write to");
}

#[test]
fn a_queue_that_does_not_come_out_of_its_reset_keeps_its_buffers_until_the_port_stops() {
    let mut bench = bench(everything(), |c| c.rx_queues(2).tx_queues(2).rx_descriptors(64));
    bench.fake.spoil(Fault::QueuesStay);
    let held = bench.pool.in_use();
    drop(bench.queues.rx.pop());
    assert_eq!(bench.pool.in_use(), held);
    bench.assert_alive();
    bench.end();
}

#[test]
fn a_device_that_returns_buffers_it_does_not_have_costs_itself_the_queue() {
    for packed in [Choice::Off, Choice::On] {
        let rings = RingOptions { packed, ..RingOptions::default() };
        let (fake, port) = open(everything(), options().rings(rings)).unwrap();
        let pool = pool();
        let config = PortConfig::new(&pool).tx_offloads(TxOffloads::MULTI_SEGMENT);
        let (port, queues) = port.configure(config).unwrap().start().unwrap();
        let mut bench = crate::bed::Bench { fake, pool, port, queues };
        bench.assert_alive();
        bench.fake.spoil(Fault::LyingReceive);
        for number in 0..3 {
            let packet = frame(&bench.pool, number, 60);
            drop(bench.round(0, packet));
        }
        assert!(bench.queues.rx[0].is_finished(), "{}", bench.queues.rx[0].path());
        let broken = ("virtio_broken_queues".to_owned(), 1);
        assert!(bench.port.extended_stats().contains(&broken));
        bench.fake.mend();
        bench.end();
    }
}
