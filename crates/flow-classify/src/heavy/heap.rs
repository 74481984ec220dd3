//! Counts in a heap whose root is the least; every node has four children, which lie side by side.

const CHILDREN: usize = 4;

/// A counter's count.
#[derive(Clone, Copy, Debug)]
struct Node {
    count: u64,
    counter: u32,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Heap {
    nodes: Vec<Node>,
    /// Where the node of each counter is.
    places: Vec<u32>,
}

impl Heap {
    pub(super) fn with_room(counters: usize) -> Self {
        Self { nodes: Vec::with_capacity(counters), places: Vec::with_capacity(counters) }
    }

    /// The least counter and its count; there is one.
    #[inline]
    pub(super) fn least(&self) -> (u32, u64) {
        (self.nodes[0].counter, self.nodes[0].count)
    }

    pub(super) fn count(&self, counter: u32) -> u64 {
        self.nodes[self.places[counter as usize] as usize].count
    }

    /// A count grows.
    #[inline]
    pub(super) fn add(&mut self, counter: u32, weight: u64) {
        let mut at = self.places[counter as usize] as usize;
        let count = self.nodes[at].count.saturating_add(weight);
        while let Some(below) =
            self.least_below(at).filter(|below| self.nodes[*below].count < count)
        {
            self.set(at, self.nodes[below]);
            at = below;
        }
        self.set(at, Node { count, counter });
    }

    /// The next counter, numbered by how many there were before.
    pub(super) fn push(&mut self, counter: u32, count: u64) {
        let mut at = self.nodes.len();
        self.nodes.push(Node { count, counter });
        self.places.push(at as u32);
        while at > 0 && self.nodes[(at - 1) / CHILDREN].count > count {
            let above = (at - 1) / CHILDREN;
            self.set(at, self.nodes[above]);
            at = above;
        }
        self.set(at, Node { count, counter });
    }

    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.places.clear();
    }

    pub(super) fn memory(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>() + self.places.capacity() * size_of::<u32>()
    }

    #[inline(always)]
    fn least_below(&self, at: usize) -> Option<usize> {
        let first = at * CHILDREN + 1;
        let children = first..self.nodes.len().min(first + CHILDREN);
        children.min_by_key(|child| self.nodes[*child].count)
    }

    #[inline(always)]
    fn set(&mut self, at: usize, node: Node) {
        self.nodes[at] = node;
        self.places[node.counter as usize] = at as u32;
    }
}
