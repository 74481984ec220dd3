//! Cycles a key of the flow table: the twin of `benches/dpdk/exact_perf.c`, which says how the loops
//! go. With `--table hashbrown`, of hashbrown's map, in as far as it can do the same.

use clap::{Parser, ValueEnum};
use linecard_benches::exact::{Flows, Map, Table, filled, keys, writer_beside_reader};
use linecard_benches::{Options, cpus, cycles, pin, row};
use std::hint::black_box;

const UNIT: &str = "cycles/key";
const BULKS: [usize; 2] = [32, 64];

#[derive(Parser, Debug)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// What to measure
    #[arg(long, value_enum, default_value = "linecard")]
    table: Which,
    /// Only the cases that this has too
    #[arg(long, value_enum, default_value = "linecard")]
    beside: Which,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Linecard,
    Hashbrown,
}

fn main() {
    let arguments = Arguments::parse();
    // Asked before this thread is pinned to one.
    let cores = cpus();
    pin(0);
    of_length::<4>(&arguments);
    of_length::<16>(&arguments);
    of_length::<40>(&arguments);
    of_length::<64>(&arguments);
    let both = [arguments.table, arguments.beside];
    if cores > 1 && both == [Which::Linecard; 2] {
        beside_a_writer(&arguments.options);
    }
}

/// Bits of the size of the table, per cent that are filled.
const SHAPES: [(u32, usize, &str); 3] =
    [(19, 75, "2^19 75 %"), (20, 95, "2^20 95 %"), (13, 75, "2^13 75 %")];

fn of_length<const N: usize>(arguments: &Arguments) {
    for (bits, percent, shape) in SHAPES {
        // The larger and the smaller table for one length only.
        if bits != 19 && N != 16 {
            continue;
        }
        let name = format!("exact {N} B {shape}");
        match arguments.table {
            Which::Linecard => {
                Cases::<N, Flows<N>>::new(arguments, name, bits, percent).all();
            }
            Which::Hashbrown => {
                Cases::<N, Map<N>>::new(arguments, name, bits, percent).all();
            }
        }
    }
}

/// The cases of one key length and one shape.
struct Cases<'a, const N: usize, T> {
    options: &'a Options,
    with_hashes: bool,
    name: String,
    budget: u64,
    bits: u32,
    keys: Vec<[u8; N]>,
    absent: Vec<[u8; N]>,
    table: Option<T>,
}

impl<'a, const N: usize, T: Table<N>> Cases<'a, N, T> {
    fn new(arguments: &'a Arguments, name: String, bits: u32, percent: usize) -> Self {
        let options = &arguments.options;
        let count = (1 << bits) * percent / 100;
        let all = keys::<N>(2 * count);
        let with_hashes = arguments.beside == Which::Linecard && arguments.table == Which::Linecard;
        let budget = options.cycles(0.3);
        let (keys, absent) = (all[..count].to_vec(), all[count..].to_vec());
        Self { options, with_hashes, name, budget, bits, keys, absent, table: None }
    }

    fn wants(&self, case: &str) -> bool {
        self.options.wants(&format!("{} {case}", self.name))
    }

    fn row(&self, case: &str, value: f64) {
        row(&format!("{} {case}", self.name), UNIT, value);
    }

    fn table(&mut self) -> &mut T {
        let bits = self.bits;
        self.table.get_or_insert_with(|| T::new(1 << bits))
    }

    fn all(&mut self) {
        for (hashed, suffix) in [(Hashed::Inside, ""), (Hashed::Before, " hashed")] {
            if hashed == Hashed::Before && !self.with_hashes {
                continue;
            }
            self.changes(hashed, suffix);
            for (which, miss) in [("hit", false), ("miss", true)] {
                self.lookups(hashed, &format!("lookup{suffix} {which}"), miss);
                for bulk in BULKS {
                    self.bulks(hashed, &format!("bulk {bulk}{suffix} {which}"), bulk, miss);
                }
            }
        }
    }

    /// All keys in, all keys out, again and again; once before, uncounted.
    fn changes(&mut self, hashed: Hashed, suffix: &str) {
        let names = [format!("add{suffix}"), format!("delete{suffix}")];
        if !names.iter().any(|name| self.wants(name)) {
            return;
        }
        let keys = std::mem::take(&mut self.keys);
        let budget = self.budget;
        let table = self.table();
        let hashes = table.hashes(&keys);
        table.clear();
        let mut spent = [0; 2];
        let mut rounds = 0;
        while spent[0] < budget || spent[1] < budget {
            let start = cycles();
            match hashed {
                Hashed::Inside => keys.iter().for_each(|key| table.add(key)),
                Hashed::Before => {
                    keys.iter().zip(&hashes).for_each(|(key, hash)| table.add_hashed(*hash, key));
                }
            }
            let middle = cycles();
            match hashed {
                Hashed::Inside => keys.iter().for_each(|key| table.delete(key)),
                Hashed::Before => {
                    let both = keys.iter().zip(&hashes);
                    both.for_each(|(key, hash)| table.delete_hashed(*hash, key));
                }
            }
            let end = cycles();
            if rounds > 0 {
                spent[0] += middle - start;
                spent[1] += end - middle;
            }
            rounds += 1;
        }
        let count = ((rounds - 1) * keys.len()) as f64;
        self.keys = keys;
        for (name, spent) in names.iter().zip(spent) {
            if self.wants(name) {
                self.row(name, spent as f64 / count);
            }
        }
    }

    fn lookups(&mut self, hashed: Hashed, name: &str, miss: bool) {
        if !self.wants(name) {
            return;
        }
        self.timed(name, miss, |table, keys, hashes| match hashed {
            Hashed::Inside => keys.iter().filter(|key| table.contains(key)).count(),
            Hashed::Before => {
                let both = keys.iter().zip(hashes);
                both.filter(|(key, hash)| table.contains_hashed(**hash, key)).count()
            }
        });
    }

    fn bulks(&mut self, hashed: Hashed, name: &str, bulk: usize, miss: bool) {
        if !self.wants(name) {
            return;
        }
        let bulk = black_box(bulk);
        self.timed(name, miss, |table, keys, hashes| match hashed {
            Hashed::Inside => keys.chunks(bulk).map(|keys| table.bulk(keys)).sum(),
            Hashed::Before => {
                let both = keys.chunks(bulk).zip(hashes.chunks(bulk));
                both.map(|(keys, hashes)| table.bulk_hashed(hashes, keys)).sum()
            }
        });
    }

    /// All keys again and again; the first time uncounted.
    fn timed(
        &mut self,
        name: &str,
        miss: bool,
        mut look: impl FnMut(&mut T, &[[u8; N]], &[T::Hash]) -> usize,
    ) {
        let keys = std::mem::take(&mut self.keys);
        let absent = std::mem::take(&mut self.absent);
        let budget = self.budget;
        let table = self.table();
        filled(table, &keys);
        let asked = if miss { &absent } else { &keys };
        let expected = if miss { 0 } else { keys.len() };
        let hashes = table.hashes(asked);
        assert_eq!(look(table, asked, &hashes), expected, "{name}");
        let (mut spent, mut rounds) = (0, 0);
        while spent < budget {
            let start = cycles();
            let found = look(table, asked, &hashes);
            spent += cycles() - start;
            assert_eq!(found, expected, "{name}");
            rounds += 1;
        }
        let value = spent as f64 / (rounds * asked.len()) as f64;
        (self.keys, self.absent) = (keys, absent);
        self.row(name, value);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hashed {
    Inside,
    Before,
}

/// A reader on CPU 1 and a writer on CPU 0, both as fast as they can.
fn beside_a_writer(options: &Options) {
    let names = ["exact writer bulk 32 hit", "exact writer bulk 32 miss"];
    for (name, miss) in names.into_iter().zip([false, true]) {
        let change = format!("{name} change");
        if options.wants(name) || options.wants(&change) {
            let [read, write] = writer_beside_reader(miss, options.cycles(0.3));
            row(name, UNIT, read);
            row(&change, UNIT, write);
        }
    }
}
