//! Objects through `linecard-mempool` and packets through `linecard-mbuf`: the twin of
//! `benches/dpdk/mempool_perf.c`, which says how the loops go.

use clap::Parser;
use linecard_benches::{Meeting, Options, cpus, cycles, pin, row, tsc_hz};
use linecard_mbuf::{Mbuf, MbufPool, free_bulk};
use linecard_mempool::{Mempool, Object};
use linecard_ring::{Sink, Source};
use std::hint::black_box;
use std::mem::MaybeUninit;

const SIZE: usize = 2047;
const KEEP: usize = 512;
const PASSES: usize = 128;
const SIZES: [usize; 6] = [1, 8, 32, 64, 128, 256];
const UNIT: &str = "Mobjects/s";

fn main() {
    let options = Options::parse();
    let cores = cpus();
    pin(0);
    let bench = Bench { budget: options.cycles(0.5), hz: tsc_hz(), options };
    for cache in [512, 0] {
        for cores in 1..=cores.min(2) {
            SIZES.iter().for_each(|n| bench.objects(cache, cores, *n));
        }
    }
    for cache in [512, 0] {
        for cores in 1..=cores.min(2) {
            SIZES.iter().for_each(|n| bench.packets(cache, cores, *n));
        }
    }
}

struct Bench {
    options: Options,
    budget: u64,
    hz: f64,
}

impl Bench {
    fn objects(&self, cache: usize, cores: usize, n: usize) {
        let builder = || Mempool::builder("bench").size(SIZE).object_size(2048).cache(cache);
        self.case("mempool", cache, cores, n, || {
            let pool = builder().build().expect("a pool");
            assert_eq!(pool.available(), SIZE);
            let pools = (pool.clone(), pool);
            move |first: bool| Objects::new(if first { pools.0.clone() } else { pools.1.clone() })
        });
    }

    fn packets(&self, cache: usize, cores: usize, n: usize) {
        self.case("mbuf", cache, cores, n, || {
            let pool = MbufPool::builder("bench").size(SIZE).cache(cache).build().expect("a pool");
            move |_| Packets::new(pool.clone())
        });
    }

    fn case<W: Work, F: Fn(bool) -> W + Sync>(
        &self,
        what: &str,
        cache: usize,
        cores: usize,
        n: usize,
        setup: impl FnOnce() -> F,
    ) {
        let cache = if cache > 0 { format!("cache {cache}") } else { "no cache".into() };
        let name = format!("{what} {cache} {}-core bulk {n}", ["one", "two"][cores - 1]);
        if !self.options.wants(&name) {
            return;
        }
        let make = setup();
        let (make, meeting, n) = (&make, &Meeting::default(), black_box(n));
        let rate = std::thread::scope(|scope| {
            let other = (cores == 2).then(|| {
                scope.spawn(move || {
                    pin(1);
                    self.run(make(false), n, Some(meeting))
                })
            });
            let rate = self.run(make(true), n, (cores == 2).then_some(meeting));
            rate + other.map_or(0.0, |other| other.join().expect("the other core"))
        });
        row(&name, UNIT, rate / 1e6);
    }

    /// Objects a second on this core.
    fn run<W: Work>(&self, mut work: W, n: usize, meeting: Option<&Meeting>) -> f64 {
        work.block(n);
        if let Some(meeting) = meeting {
            meeting.meet(1);
        }
        let start = cycles();
        let mut blocks = 0u64;
        loop {
            work.block(n);
            blocks += 1;
            let spent = cycles() - start;
            if spent >= self.budget {
                return (blocks * (KEEP * PASSES) as u64) as f64 / (spent as f64 / self.hz);
            }
        }
    }
}

trait Work {
    fn block(&mut self, n: usize);
}

#[repr(C, align(64))]
struct Objects {
    table: [Object; KEEP],
    pool: Mempool,
}

impl Objects {
    fn new(pool: Mempool) -> Self {
        let table = [pool.filler(); KEEP];
        Objects { pool, table }
    }
}

impl Work for Objects {
    #[inline(never)]
    fn block(&mut self, n: usize) {
        for _ in 0..PASSES {
            for some in self.table.chunks_exact_mut(n) {
                assert!(self.pool.take_bulk(some), "no objects");
            }
            for some in self.table.chunks_exact(n) {
                // SAFETY: taken just above, and returned once.
                unsafe { self.pool.put_bulk(some) };
            }
        }
    }
}

/// A table of packets: where an allocation puts some, and what is freed from it.
struct Packets {
    pool: MbufPool,
    table: Box<Table>,
}

#[repr(align(64))]
struct Table([MaybeUninit<Mbuf>; KEEP]);

impl Packets {
    fn new(pool: MbufPool) -> Self {
        Packets { pool, table: Box::new(Table([const { MaybeUninit::uninit() }; KEEP])) }
    }
}

/// `n` places of the table.
struct Places<'a>(&'a mut [MaybeUninit<Mbuf>]);

// SAFETY: the places hold nothing when this is used as a sink.
unsafe impl Sink<Mbuf> for Places<'_> {
    fn room(&mut self) -> (*mut Mbuf, usize) {
        (self.0.as_mut_ptr().cast(), self.0.len())
    }

    unsafe fn gave(&mut self, _: usize) {}
}

// SAFETY: the places are full when this is used as a source, and are not read again afterwards.
unsafe impl Source<Mbuf> for Places<'_> {
    fn items(&self) -> &[Mbuf] {
        // SAFETY: full, as above.
        unsafe { core::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len()) }
    }

    unsafe fn took(&mut self, _: usize) {}
}

impl Work for Packets {
    #[inline(never)]
    fn block(&mut self, n: usize) {
        for _ in 0..PASSES {
            for some in self.table.0.chunks_exact_mut(n) {
                assert!(self.pool.alloc_bulk(&mut Places(some), n), "no packets");
            }
            for some in self.table.0.chunks_exact_mut(n) {
                free_bulk(&mut Places(some));
            }
        }
    }
}
