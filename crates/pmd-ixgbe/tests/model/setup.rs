//! What the driver sets a card up with, beside what Linux's and DPDK's drivers do on the same model: every
//! difference is in a table with its reason.

use crate::bed::Modelled;
use crate::ends::*;
use linecard_ixgbe_model::setup::{Comparison, DPDK, LINUX, Setup, compare};
use linecard_net::MacAddr;
use linecard_net::rss::RssTypes;
use linecard_pmd_core::{
    FlowControl, Pause, Port, PortConfig, Promiscuous, RssConfig, RxOffloads, Started, TxOffloads,
    VlanFilter,
};
use linecard_pmd_ixgbe::{DirectorMemory, FlowDirector, IxgbeOptions};
use std::time::Duration;

const TABLES: &str = include_str!("../../src/beside_others.md");

const RULE: &str = "|---|---|---|---|";

/// How a driver is told to be like another one.
struct Likeness {
    options: IxgbeOptions,
    configure: fn(PortConfig) -> PortConfig,
    pause: Pause,
    promiscuous: Promiscuous,
    more: fn(&mut Port<Started>),
}

/// Two queues each way with RSS, tags and checksums by the card, pauses, signatures of flows, MSI-X.
fn like_linux() -> Likeness {
    fn configure(config: PortConfig) -> PortConfig {
        let receive = RxOffloads::IP_CHECKSUM
            | RxOffloads::L4_CHECKSUM
            | RxOffloads::VLAN_STRIP
            | RxOffloads::VLAN_FILTER
            | RxOffloads::RSS_HASH;
        let send = TxOffloads::IP_CHECKSUM
            | TxOffloads::TCP_CHECKSUM
            | TxOffloads::TCP_SEGMENTATION
            | TxOffloads::VLAN_INSERT
            | TxOffloads::MULTI_SEGMENT;
        let hashed = RssTypes::IPV4 | RssTypes::IPV4_TCP | RssTypes::IPV6 | RssTypes::IPV6_TCP;
        let config = config.rx_queues(2).tx_queues(2).rx_descriptors(512).tx_descriptors(512);
        config.rx_offloads(receive).tx_offloads(send).rss(RssConfig::over(hashed))
    }
    Likeness {
        options: IxgbeOptions::new()
            .flow_director(FlowDirector::Signature(DirectorMemory::KiB64))
            .interrupt_interval(Duration::from_micros(50)),
        configure,
        pause: Pause::Both,
        promiscuous: Promiscuous::Off,
        // As the kernel does when an interface goes up.
        more: |port| {
            port.set_vlan_filter(0, VlanFilter::Pass).expect("it can");
            port.add_mac(MacAddr([1, 0, 0x5E, 0, 0, 1])).expect("room");
        },
    }
}

/// One queue of 256 descriptors each way, promiscuous, without offloads, pauses and rules.
fn like_testpmd() -> Likeness {
    Likeness {
        options: IxgbeOptions::new().flow_director(FlowDirector::Off),
        configure: |config| config.rx_descriptors(256).tx_descriptors(256),
        pause: Pause::Off,
        promiscuous: Promiscuous::On,
        more: |_| {},
    }
}

/// What is written until the first frame goes out, when a port that was asked to be like another starts.
fn written(like: &Likeness) -> String {
    let pool = pool();
    let [card, _other] = Modelled::pair();
    let (mut port, queues) =
        start_with(&card, like.options.clone(), (like.configure)(PortConfig::new(&pool)));
    port.set_flow_control(&FlowControl::new(like.pause)).expect("it can");
    port.set_promiscuous(like.promiscuous).expect("it can");
    (like.more)(&mut port);
    drop(queues);
    let port = port.stop().expect("it stops");
    card.model().record_writes();
    let (port, queues) = port.start().expect("it starts");
    let mut end = End { card, port, queues };
    end.send(packet(&pool, &udp(&[0; 100])));
    let mut setup = Setup::default();
    setup.follow(&end.card.model().take_journal().writes);
    assert!(setup.is_complete());
    end.card.assert_clean();
    setup.lines().join("\n")
}

/// The section of the docs under a heading, from its table on.
fn section(heading: &str) -> &'static str {
    let (_, after) = TABLES.split_once(heading).expect("the heading is there");
    let section = after.split("\n## ").next().unwrap_or_default();
    section.split_once(RULE).expect("a table").1
}

/// Cells of the table's rows.
fn rows(section: &str) -> Vec<Vec<String>> {
    let lines = section.lines().filter(|line| line.starts_with("| "));
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().replace('`', "")).collect()
    };
    lines.map(cells).collect()
}

/// Names after the words of a line.
fn names(section: &str, words: &str) -> Vec<String> {
    let line = section.lines().find_map(|line| line.strip_prefix(words)).expect("a line of names");
    line.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn explained(heading: &str, found: &Comparison) {
    let section = section(heading);
    let rows = rows(section);
    let mut missing = Vec::new();
    for row in &found.differences {
        let cells = [&row.register, &row.ours, &row.theirs].map(String::as_str);
        if !rows.iter().any(|known| known[..3] == cells) {
            let [register, ours, theirs] = cells;
            missing.push(format!("| `{register}` | `{ours}` | `{theirs}` | why? |"));
        }
    }
    assert!(missing.is_empty(), "not explained under {heading}:\n{}", missing.join("\n"));
    assert_eq!(
        rows.len(),
        found.differences.len(),
        "{heading}: a row is of no difference any more"
    );
    for row in rows {
        let reason = row.last().expect("cells");
        assert!(reason.contains('§'), "{row:?}: by which section of the datasheet?");
    }
    let lists = [
        ("Only ours writes, and what a reset leaves:", &found.only_ours),
        ("Only theirs writes, and what a reset leaves:", &found.only_theirs),
    ];
    for (words, only) in lists {
        assert_eq!(names(section, words), *only, "{heading}: {words}");
    }
}

#[test]
fn every_difference_from_linux_is_explained() {
    explained("## Linux", &compare(&written(&like_linux()), LINUX));
}

#[test]
fn every_difference_from_dpdk_is_explained() {
    explained("## DPDK", &compare(&written(&like_testpmd()), DPDK));
}
