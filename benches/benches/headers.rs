//! What does it cost to look at a packet: to parse it, to hash it, to sum it?

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use linecard_net::rss::{RssTypes, ToeplitzKey, rss_hash};
use linecard_net::{FlowKey, FrameBuilder, MacAddr, checksum, parse};
use std::hint::black_box;
use std::net::Ipv4Addr;

fn frame() -> Vec<u8> {
    FrameBuilder::new(MacAddr([2, 0, 0, 0, 0, 2]), MacAddr([2, 0, 0, 0, 0, 1]))
        .ipv4(Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 19, 0, 1))
        .udp(1000, 2000)
        .frame_len(60)
        .to_vec()
        .expect("a frame")
}

fn headers(c: &mut Criterion) {
    let frame = frame();
    let mut group = c.benchmark_group("a UDP frame");
    group.throughput(Throughput::Elements(1));
    assert!(parse(&frame).flow().is_some());
    group.bench_function("parse", |b| b.iter(|| parse(black_box(&frame))));
    group.bench_function("flow key", |b| b.iter(|| FlowKey::from_frame(black_box(&frame))));
    let key = ToeplitzKey::new(&linecard_net::rss::RssKey::MICROSOFT);
    let parsed = parse(&frame);
    group.bench_function("Toeplitz", |b| {
        b.iter(|| rss_hash(black_box(&parsed), RssTypes::all(), &key));
    });
}

fn sums(c: &mut Criterion) {
    let mut group = c.benchmark_group("Internet checksum");
    for bytes in [20, 64, 1500, 9000] {
        let data = vec![0xA5; bytes];
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_with_input(BenchmarkId::from_parameter(bytes), &data, |b, data| {
            b.iter(|| checksum::sum(black_box(data)));
        });
    }
}

criterion_group!(benches, headers, sums);
criterion_main!(benches);
