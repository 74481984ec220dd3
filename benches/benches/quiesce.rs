//! What does a burst cost a reader for what it sees to stay: quiescent states, or epochs?

use criterion::{Criterion, criterion_group, criterion_main};
use linecard_flow_classify::quiesce::Domain;
use std::hint::black_box;
use std::sync::Arc;

fn bursts(c: &mut Criterion) {
    let domain = Arc::new(Domain::default());
    let mut announcer = domain.announcer();
    let mut group = c.benchmark_group("the beginning of a burst");
    group.bench_function("quiescent state", |b| b.iter(|| black_box(&mut announcer).quiesce()));
    group.bench_function("quiescent state after a removal", |b| {
        b.iter(|| {
            domain.advance();
            black_box(&mut announcer).quiesce();
        });
    });
    group.bench_function("crossbeam-epoch", |b| b.iter(|| drop(black_box(crossbeam_epoch::pin()))));
    group.finish();
}

criterion_group!(benches, bursts);
criterion_main!(benches);
