//! Inner nodes of a tree, and what their cells lead to.

use super::block::Block;
use super::cube::Cube;
use super::key::{Key, Packed};
use crate::sync::{AtomicPtr, Ordering, Watch};
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ptr;

/// Looks at some bits of a key; their value is the number of a cell.
#[derive(Debug)]
pub(super) struct Node<K: Key> {
    /// Bits of one word of addresses, of another one, and of ports and protocol.
    pub(super) bits: Bits,
    pub(super) cells: Box<[Cell<K>]>,
    /// What keys come here. Only the writer looks at it.
    pub(super) cube: Cube<K>,
    pub(super) watch: Watch,
}

/// Which bits a node looks at: of one or two words of addresses, and of ports and protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits {
    pub(super) words: [u8; 2],
    pub(super) masks: [u64; 3],
}

impl Bits {
    /// The masks with the words they are of.
    pub(super) fn parts<K: Key>(&self) -> [(usize, u64); 3] {
        let [first, second] = self.words.map(usize::from);
        let [a, b, c] = self.masks;
        [(first, a), (second, b), (Packed::<K>::WORDS - 1, c)]
    }

    /// How many.
    pub(super) fn count(&self) -> u32 {
        self.masks.iter().map(|mask| mask.count_ones()).sum()
    }

    /// The number of a key's cell; `extract` gathers the bits of a mask.
    #[inline(always)]
    pub(super) fn cell<K: Key>(&self, key: &Packed<K>, extract: impl Fn(u64, u64) -> u64) -> usize {
        let [a, b, c] = self.masks;
        let addresses = key.addresses.as_ref();
        let [first, second] = self.words.map(usize::from);
        let cell = match addresses {
            [both] => extract(*both, a),
            words => {
                let cell = extract(words[first & 3], a) << b.count_ones();
                cell | extract(words[second & 3], b)
            }
        };
        (cell << c.count_ones() | extract(key.rest, c)) as usize
    }
}

/// The tag of a leaf's address.
const LEAF: usize = 1;

/// The address of a node or of a leaf, told apart by its lowest bit.
#[derive(Debug)]
pub(super) struct Link<K: Key> {
    to: *mut u8,
    of: PhantomData<Node<K>>,
}

impl<K: Key> Clone for Link<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Key> Copy for Link<K> {}

impl<K: Key> Eq for Link<K> {}

impl<K: Key> Hash for Link<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to.hash(state);
    }
}

impl<K: Key> PartialEq for Link<K> {
    fn eq(&self, other: &Self) -> bool {
        self.to == other.to
    }
}

/// What a link leads to.
#[derive(Debug)]
pub(super) enum Target<'a, K: Key> {
    Node(&'a Node<K>),
    Leaf(&'a Block<K>),
}

impl<K: Key> Link<K> {
    /// Leads nowhere: the root of an empty tree.
    pub(super) const NONE: Self = Self { to: ptr::null_mut(), of: PhantomData };

    #[inline(always)]
    pub(super) fn is_none(self) -> bool {
        self.to.is_null()
    }

    /// Gives a node away, until [`Link::free`].
    pub(super) fn node(node: Box<Node<K>>) -> Self {
        Self { to: Box::into_raw(node).cast(), of: PhantomData }
    }

    /// Gives a leaf away, until [`Link::free`].
    pub(super) fn leaf(leaf: Box<Block<K>>) -> Self {
        let to = Box::into_raw(leaf).cast::<u8>();
        Self { to: to.map_addr(|address| address | LEAF), of: PhantomData }
    }

    #[inline(always)]
    pub(super) fn is_leaf(self) -> bool {
        self.to.addr() & LEAF != 0
    }

    #[inline(always)]
    pub(super) fn is_node(self) -> bool {
        !self.is_leaf() && !self.is_none()
    }

    /// What is there.
    ///
    /// # Safety
    /// It is not `NONE`, has not been freed, and is not for as long as `'a`.
    #[inline(always)]
    pub(super) unsafe fn target<'a>(self) -> Target<'a, K> {
        // SAFETY: both kinds are aligned to 8 bytes at least, so that without its tag the address is the
        // one that `node` or `leaf` was given by its box; the caller says that it is still there.
        unsafe {
            if self.is_leaf() { Target::Leaf(self.as_leaf()) } else { Target::Node(self.as_node()) }
        }
    }

    /// The node that is there.
    ///
    /// # Safety
    /// As for [`Link::target`]; and it is a node.
    #[inline(always)]
    pub(super) unsafe fn as_node<'a>(self) -> &'a Node<K> {
        debug_assert!(!self.is_leaf());
        // SAFETY: a node's address has no tag; the caller vouches for the rest.
        let node: &Node<K> = unsafe { &*self.to.cast() };
        node.watch.look();
        node
    }

    /// The leaf that is there.
    ///
    /// # Safety
    /// As for [`Link::target`]; and it is a leaf.
    #[inline(always)]
    pub(super) unsafe fn as_leaf<'a>(self) -> &'a Block<K> {
        debug_assert!(self.is_leaf());
        // SAFETY: a leaf's address has the tag, which is taken off; the caller vouches for the rest.
        let leaf: &Block<K> = unsafe { &*self.to.wrapping_sub(LEAF).cast() };
        leaf.watch.look();
        leaf
    }

    /// Bytes of what is there, and below it.
    ///
    /// # Safety
    /// As for [`Link::target`].
    pub(super) unsafe fn bytes(self) -> usize {
        // SAFETY: what the caller says.
        match unsafe { self.target() } {
            Target::Leaf(leaf) => leaf.bytes(),
            Target::Node(node) => {
                // SAFETY: what the caller says; nodes keep what they lead to.
                let below = node.links().into_iter().map(|link| unsafe { link.bytes() });
                node.bytes() + below.sum::<usize>()
            }
        }
    }

    /// Drops what is there, if anything is.
    ///
    /// # Safety
    /// Nobody looks at it any more, and nobody else frees it.
    pub(super) unsafe fn free(self) {
        let to = self.to.map_addr(|address| address & !LEAF);
        if to.is_null() {
            return;
        }
        // SAFETY: the address came from a box of that kind; the caller says that it is ours alone.
        unsafe {
            if self.is_leaf() {
                drop(Box::from_raw(to.cast::<Block<K>>()));
            } else {
                drop(Box::from_raw(to.cast::<Node<K>>()));
            }
        }
    }
}

// SAFETY: a link is an address; nodes and leaves are `Send` and `Sync`, their keys being so.
unsafe impl<K: Key> Send for Link<K> {}

/// Where one value of a node's bits leads. Only the writer stores, readers follow.
#[derive(Debug)]
pub(super) struct Cell<K: Key> {
    to: AtomicPtr<u8>,
    of: PhantomData<Node<K>>,
}

impl<K: Key> Cell<K> {
    pub(super) fn new(link: Link<K>) -> Self {
        Self { to: AtomicPtr::new(link.to), of: PhantomData }
    }

    #[inline(always)]
    pub(super) fn load(&self) -> Link<K> {
        // Acquire: pairs with the release in `store`, so that what is there is seen whole.
        Link { to: self.to.load(Ordering::Acquire), of: PhantomData }
    }

    pub(super) fn store(&self, link: Link<K>) {
        // Release: pairs with the acquire in `load`.
        self.to.store(link.to, Ordering::Release);
    }
}

impl<K: Key> Node<K> {
    /// Where cells lead, each place once.
    pub(super) fn links(&self) -> Vec<Link<K>> {
        let mut links: Vec<_> = self.cells.iter().map(Cell::load).collect();
        links.sort_unstable_by_key(|link| link.to.addr());
        links.dedup();
        links
    }

    /// Bytes of the node and its cells.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val::<[_]>(&self.cells)
    }
}

impl<K: Key> Drop for Node<K> {
    fn drop(&mut self) {
        self.watch.end();
        for link in self.links() {
            // SAFETY: a node owns what its cells lead to, each place once, and `&mut self` says that
            // nobody follows them.
            unsafe { link.free() };
        }
    }
}
