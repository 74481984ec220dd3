//! Every edit beside a `Vec<u8>`.

use crate::bytes;
use linecard_eal::mem::PagePolicy;
use linecard_mbuf::{ExternalBuffer, MAX_SEGMENTS, Mbuf, MbufPool, SharedMbuf};
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Arc;

/// What is done to a packet.
#[derive(Clone, Debug)]
enum Edit {
    Prepend(Vec<u8>),
    Append(Vec<u8>),
    Adjust(usize),
    Trim(usize),
    Extend(Vec<u8>),
    Chain(Vec<u8>),
    ChainExternal(Vec<u8>),
    SplitFirst,
    Linearize,
    FlipFirst,
    FlipAll,
    CopyFrom(usize, Vec<u8>),
    CopyTo(usize, usize),
    Read(usize, usize),
    Copy,
    ShareAndUnshare,
    /// Goes on with an alias, and keeps the packet beside it.
    Alias,
    /// The same in buffers that are often too small.
    AliasTiny,
    /// Goes on with an alias that is the only one to have the packet.
    AliasAlone,
    /// Lets go of a packet kept beside.
    Forget(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let some = || vec(any::<u8>(), 0..40);
    let more = || vec(any::<u8>(), 0..300);
    prop_oneof![
        some().prop_map(Edit::Prepend),
        some().prop_map(Edit::Append),
        (0usize..50).prop_map(Edit::Adjust),
        (0usize..150).prop_map(Edit::Trim),
        more().prop_map(Edit::Extend),
        some().prop_map(Edit::Chain),
        more().prop_map(Edit::ChainExternal),
        Just(Edit::SplitFirst),
        Just(Edit::Linearize),
        Just(Edit::FlipFirst),
        Just(Edit::FlipAll),
        (0usize..300, some()).prop_map(|(at, bytes)| Edit::CopyFrom(at, bytes)),
        (0usize..300, 0usize..300).prop_map(|(at, n)| Edit::CopyTo(at, n)),
        (0usize..300, 0usize..60).prop_map(|(at, n)| Edit::Read(at, n)),
        Just(Edit::Copy),
        Just(Edit::ShareAndUnshare),
        Just(Edit::Alias),
        Just(Edit::AliasTiny),
        Just(Edit::AliasAlone),
        (0usize..4).prop_map(Edit::Forget),
    ]
}

/// A packet, and what it should be.
struct Bench {
    pool: MbufPool,
    tiny: MbufPool,
    packet: Mbuf,
    expected: Vec<u8>,
    /// Packets that others have, and what they should stay.
    beside: Vec<(SharedMbuf, Vec<u8>)>,
    /// Counts external buffers that have not been released.
    outside: Arc<()>,
}

impl Bench {
    fn new() -> Self {
        let small = |size, head, room| {
            let pool = MbufPool::builder("edits").size(size).headroom(head).data_room(room);
            pool.cache(4).pages(PagePolicy::Small).build().unwrap()
        };
        let (pool, tiny) = (small(40, 32, 64), small(20, 0, 64));
        let packet = pool.alloc().unwrap();
        Bench { pool, tiny, packet, expected: vec![], beside: vec![], outside: Arc::new(()) }
    }

    fn apply(&mut self, edit: Edit) {
        match edit {
            Edit::Prepend(bytes) => self.prepend(bytes),
            Edit::Append(bytes) => self.append(&bytes),
            Edit::Adjust(n) => self.adjust(n),
            Edit::Trim(n) => self.trim(n),
            Edit::Extend(bytes) => self.extend(&bytes),
            Edit::Chain(bytes) => self.chain(&bytes),
            Edit::ChainExternal(bytes) => self.chain_external(bytes),
            Edit::SplitFirst => self.split_first(),
            Edit::Linearize => self.linearize(),
            Edit::FlipFirst => self.flip_first(),
            Edit::FlipAll => self.flip_all(),
            Edit::CopyFrom(at, bytes) => self.copy_from(at, &bytes),
            Edit::CopyTo(at, n) => self.copy_to(at, n),
            Edit::Read(at, n) => self.read(at, n),
            Edit::Copy => self.copy(),
            Edit::ShareAndUnshare => self.swap(|packet, _| packet.share().try_unshare().unwrap()),
            Edit::Alias => self.alias(|bench| bench.pool.clone()),
            Edit::AliasTiny => self.alias(|bench| bench.tiny.clone()),
            Edit::AliasAlone => {
                let beside = self.beside.len();
                self.alias(|bench| bench.pool.clone());
                self.beside.truncate(beside);
            }
            Edit::Forget(n) => drop((n < self.beside.len()).then(|| self.beside.swap_remove(n))),
        }
        self.check();
    }

    fn check(&self) {
        assert_eq!(bytes(&self.packet), self.expected);
        assert_eq!(self.packet.len(), self.expected.len());
        assert_eq!(self.packet.segments().count(), self.packet.segment_count());
        assert_eq!(self.packet.data(), self.packet.segments().next().unwrap());
        let lens = self.packet.device_segments().map(|(_, len)| len);
        assert!(lens.eq(self.packet.segments().map(<[u8]>::len)));
        for (shared, expected) in &self.beside {
            assert_eq!(&shared.segments().flatten().copied().collect::<Vec<_>>(), expected);
        }
    }

    /// Goes on with what `of` makes of the packet.
    fn swap(&mut self, of: impl FnOnce(Mbuf, &mut Self) -> Mbuf) {
        // An empty packet stands in; a pool may have none left, so that there is one of its own.
        let spare = Bench::spare();
        let packet = std::mem::replace(&mut self.packet, spare);
        self.packet = of(packet, self);
    }

    fn spare() -> Mbuf {
        let spare = MbufPool::builder("spare").size(1).cache(0).pages(PagePolicy::Small);
        spare.data_room(64).build().unwrap().alloc().unwrap()
    }

    fn prepend(&mut self, mut bytes: Vec<u8>) {
        let room = self.packet.headroom();
        match self.packet.prepend(bytes.len()) {
            Ok(grown) => {
                grown.copy_from_slice(&bytes);
                bytes.append(&mut self.expected);
                self.expected = bytes;
                assert!(self.packet.headroom() <= room);
            }
            Err(refused) => assert!(bytes.len() > room && refused.room == room),
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = self.packet.tailroom();
        match self.packet.append(bytes.len()) {
            Ok(grown) => {
                grown.copy_from_slice(bytes);
                self.expected.extend(bytes);
            }
            Err(refused) => assert!(bytes.len() > room && refused.room == room),
        }
    }

    fn adjust(&mut self, n: usize) {
        let first = self.packet.data().len();
        assert_eq!(self.packet.adjust(n).is_ok(), n <= first);
        self.expected.drain(..if n <= first { n } else { 0 });
    }

    fn trim(&mut self, n: usize) {
        let len = self.expected.len();
        assert_eq!(self.packet.trim(n).is_ok(), n <= len);
        self.expected.truncate(if n <= len { len - n } else { len });
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.packet.extend(&self.pool, bytes).is_some() {
            self.expected.extend(bytes);
        } else {
            // Each new segment takes 96 bytes.
            let missing = bytes.len().saturating_sub(self.packet.tailroom()).div_ceil(96);
            assert!(missing > 0, "refused for no reason");
        }
    }

    fn chain(&mut self, bytes: &[u8]) {
        let Some(mut tail) = self.pool.alloc() else { return };
        tail.append(bytes.len()).unwrap().copy_from_slice(bytes);
        self.packet.chain(tail).unwrap();
        self.expected.extend(bytes);
    }

    fn chain_external(&mut self, bytes: Vec<u8>) {
        let (outside, mut held) = (self.outside.clone(), bytes.clone());
        let base = std::ptr::NonNull::from(&mut held[..]).cast();
        // SAFETY: the vector's bytes stay where they are, inside the release, until it is called.
        let buffer = unsafe {
            ExternalBuffer::new(base, bytes.len() as u16, 0, move || drop((held, outside)))
        };
        if let Ok(tail) = Mbuf::from_external(&self.pool, buffer) {
            self.packet.chain(tail).unwrap();
            self.expected.extend(bytes);
        }
    }

    fn split_first(&mut self) {
        let (first, segments) = (self.packet.data().len(), self.packet.segment_count());
        match self.packet.split_first() {
            Some(alone) => {
                assert_eq!(
                    (alone.segment_count(), bytes(&alone)),
                    (1, self.expected[..first].to_vec())
                );
                self.expected.drain(..first);
                assert_eq!(self.packet.segment_count(), segments - 1);
            }
            None => assert_eq!(segments, 1),
        }
    }

    fn linearize(&mut self) {
        match self.packet.linearize() {
            Ok(()) => assert_eq!(self.packet.data(), self.expected),
            Err(refused) => assert!(refused.asked > refused.room),
        }
    }

    fn flip_first(&mut self) {
        self.packet.data_mut().iter_mut().for_each(|byte| *byte ^= 0xFF);
        let first = self.packet.data().len();
        self.expected[..first].iter_mut().for_each(|byte| *byte ^= 0xFF);
    }

    fn flip_all(&mut self) {
        self.packet.for_each_segment_mut(|part| part.iter_mut().for_each(|byte| *byte ^= 0xFF));
        self.expected.iter_mut().for_each(|byte| *byte ^= 0xFF);
    }

    fn copy_from(&mut self, at: usize, from: &[u8]) {
        let n = self.packet.copy_from(at, from);
        assert_eq!(n, from.len().min(self.expected.len().saturating_sub(at)));
        if n > 0 {
            self.expected[at..at + n].copy_from_slice(&from[..n]);
        }
    }

    fn copy_to(&mut self, at: usize, n: usize) {
        let mut into = vec![0xA5; n];
        let done = self.packet.copy_to(at, &mut into);
        let expected = &self.expected[at.min(self.expected.len())..];
        assert_eq!(done, n.min(expected.len()));
        assert_eq!(into[..done], expected[..done]);
        assert!(into[done..].iter().all(|byte| *byte == 0xA5));
    }

    fn read(&mut self, at: usize, n: usize) {
        let mut scratch = vec![0; n];
        let read = self.packet.read(at, n, &mut scratch);
        assert_eq!(read, self.expected.get(at..at + n));
    }

    fn copy(&mut self) {
        let Some(copy) = self.packet.copy(&self.pool) else { return };
        self.swap(|_, _| copy);
    }

    fn alias(&mut self, pool: impl Fn(&Self) -> MbufPool) {
        self.swap(|packet, bench| {
            let shared = packet.share();
            match shared.alias(&pool(bench)) {
                Some(alias) => {
                    bench.beside.push((shared, bench.expected.clone()));
                    alias
                }
                None => shared.try_unshare().expect("nobody else has it"),
            }
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..Default::default() })]

    #[test]
    fn packets_are_their_bytes_whatever_is_done_to_them(edits in vec(edit(), 0..60)) {
        let mut bench = Bench::new();
        for edit in edits {
            if bench.packet.segment_count() < MAX_SEGMENTS {
                bench.apply(edit);
            }
        }
        let Bench { pool, tiny, packet, beside, outside, .. } = bench;
        drop(packet);
        drop(beside);
        prop_assert_eq!((pool.available(), tiny.available()), (40, 20));
        prop_assert_eq!(Arc::strong_count(&outside), 1, "external memory was not released");
        prop_assert_eq!(pool.raw().audit(), []);
    }
}
