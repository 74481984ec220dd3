//! The control copy: every route, in a binary trie without one-way branches (Patricia).
//!
//! Only the writer touches it. A node has a route, or two children, or is the root.

use super::prefix::Bits;

/// No child.
const NONE: u32 = 0;

/// The root, of length 0, that is always there; no child can be it.
const ROOT: u32 = 0;

#[derive(Debug, Clone, Copy)]
struct Node<B> {
    key: B,
    children: [u32; 2],
    /// 0: no route.
    value: u32,
    len: u8,
}

/// A route; a value is never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route<B> {
    pub(super) key: B,
    pub(super) len: u8,
    pub(super) value: u32,
}

#[derive(Debug)]
pub struct Rib<B> {
    nodes: Vec<Node<B>>,
    free: Vec<u32>,
    routes: usize,
}

impl<B: Bits> Rib<B> {
    pub(super) fn new() -> Self {
        let root = Node { key: B::default(), children: [NONE; 2], value: 0, len: 0 };
        Self { nodes: vec![root], free: Vec::new(), routes: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.routes
    }

    /// Bytes on the heap.
    pub(super) fn memory(&self) -> usize {
        self.nodes.capacity() * size_of::<Node<B>>() + self.free.capacity() * size_of::<u32>()
    }

    fn node(&self, at: u32) -> &Node<B> {
        &self.nodes[at as usize]
    }

    fn node_mut(&mut self, at: u32) -> &mut Node<B> {
        &mut self.nodes[at as usize]
    }

    fn make(&mut self, node: Node<B>) -> u32 {
        if let Some(at) = self.free.pop() {
            *self.node_mut(at) = node;
            return at;
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1)
            .expect("fewer than 2^32 nodes: there is no memory for more")
    }

    /// Adds a route, or gives it another value; returns the value that it had, or 0.
    pub(super) fn insert(&mut self, route: Route<B>) -> u32 {
        let Route { key, len, value } = route;
        let mut at = ROOT;
        let old = loop {
            let Node { len: node_len, children, .. } = *self.node(at);
            if node_len == len {
                break core::mem::replace(&mut self.node_mut(at).value, value);
            }
            let side = key.bit(node_len);
            let child = children[side];
            if child == NONE || !self.leads_to(child, key, len) {
                let new = self.graft(child, route);
                self.node_mut(at).children[side] = new;
                break 0;
            }
            at = child;
        };
        self.routes += usize::from(old == 0);
        old
    }

    /// Whether the node covers the prefix.
    fn leads_to(&self, at: u32, key: B, len: u8) -> bool {
        let node = self.node(at);
        node.len <= len && node.key.common(key) >= node.len
    }

    /// What takes the place of `child`, which does not cover `route`: a node for both.
    fn graft(&mut self, child: u32, route: Route<B>) -> u32 {
        let Route { key, len, value } = route;
        let leaf = Node { key, children: [NONE; 2], value, len };
        if child == NONE {
            return self.make(leaf);
        }
        let below = *self.node(child);
        let common = below.key.common(key).min(len);
        let side = below.key.bit(common);
        if common == len {
            let mut children = [NONE; 2];
            children[side] = child;
            return self.make(Node { children, ..leaf });
        }
        let mut children = [child; 2];
        children[1 - side] = self.make(leaf);
        self.make(Node { key: key.first(common), children, value: 0, len: common })
    }

    /// Takes a route away; returns its value, or 0 if there was none.
    pub(super) fn remove(&mut self, key: B, len: u8) -> u32 {
        let (mut above, mut parent, mut at) = (ROOT, ROOT, ROOT);
        while self.node(at).len < len {
            let next = self.node(at).children[key.bit(self.node(at).len)];
            if next == NONE || !self.leads_to(next, key, len) {
                return 0;
            }
            (above, parent, at) = (parent, at, next);
        }
        let old = core::mem::take(&mut self.node_mut(at).value);
        self.routes -= usize::from(old != 0);
        self.prune(at, parent);
        self.prune(parent, above);
        old
    }

    /// Takes the node away if it has neither a route nor two children.
    fn prune(&mut self, at: u32, parent: u32) {
        let Node { children, value, .. } = *self.node(at);
        if at == ROOT || value != 0 || !children.contains(&NONE) {
            return;
        }
        let only = children[0] | children[1];
        let link = self.node_mut(parent).children.iter_mut().find(|child| **child == at);
        if let Some(link) = link {
            *link = only;
            self.free.push(at);
        }
    }

    /// The value of exactly this route, or 0.
    pub(super) fn exact(&self, key: B, len: u8) -> u32 {
        self.covering(key, len).filter(|route| route.len == len).last().map_or(0, |it| it.value)
    }

    /// The longest route of at most `len` bits that `key` is in.
    pub(super) fn best(&self, key: B, len: u8) -> Option<Route<B>> {
        self.covering(key, len).last()
    }

    /// The routes of at most `len` bits that `key` is in, the shortest first.
    pub(super) fn covering(&self, key: B, len: u8) -> impl Iterator<Item = Route<B>> {
        let mut next = Some(ROOT);
        core::iter::from_fn(move || {
            loop {
                let at = next?;
                let &Node { key: own, children, value, len: node_len } = self.node(at);
                next = (node_len < len)
                    .then(|| children[key.bit(node_len)])
                    .filter(|child| *child != NONE && self.leads_to(*child, key, len));
                if value != 0 {
                    return Some(Route { key: own, len: node_len, value });
                }
            }
        })
    }

    /// All routes that the prefix covers, itself too: by address, the shorter first.
    pub(super) fn covered(&self, key: B, len: u8) -> Covered<'_, B> {
        let mut at = ROOT;
        while self.node(at).len < len {
            let next = self.node(at).children[key.bit(self.node(at).len)];
            if next == NONE || self.node(next).key.common(key) < len.min(self.node(next).len) {
                return Covered { rib: self, stack: Vec::new() };
            }
            at = next;
        }
        Covered { rib: self, stack: vec![at] }
    }
}

/// A walk in preorder.
#[derive(Debug, Clone)]
pub(super) struct Covered<'a, B> {
    rib: &'a Rib<B>,
    stack: Vec<u32>,
}

impl<B: Bits> Iterator for Covered<'_, B> {
    type Item = Route<B>;

    fn next(&mut self) -> Option<Route<B>> {
        loop {
            let at = self.stack.pop()?;
            let &Node { key, children: [low, high], value, len } = self.rib.node(at);
            self.stack.extend([high, low].into_iter().filter(|child| *child != NONE));
            if value != 0 {
                return Some(Route { key, len, value });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Few addresses, so that prefixes meet.
    fn prefixes() -> impl Strategy<Value = (u32, u8)> {
        (0_u32..8, 0_u32..4, 0_u8..=32)
            .prop_map(|(high, low, len)| ((high << 29 | low).first(len), len))
    }

    fn routes(model: &BTreeMap<(u32, u8), u32>) -> Vec<Route<u32>> {
        model.iter().map(|(&(key, len), &value)| Route { key, len, value }).collect()
    }

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds(steps in prop::collection::vec((prefixes(), 0_u32..3), 0..200)) {
            let (mut rib, mut model) = (Rib::new(), BTreeMap::new());
            for ((key, len), value) in steps {
                let (ours, theirs) = match value {
                    0 => (rib.remove(key, len), model.remove(&(key, len))),
                    _ => (rib.insert(Route { key, len, value }), model.insert((key, len), value)),
                };
                prop_assert_eq!(ours, theirs.unwrap_or(0));
                prop_assert_eq!(rib.exact(key, len), model.get(&(key, len)).copied().unwrap_or(0));
                prop_assert_eq!(rib.len(), model.len());
            }
            prop_assert_eq!(rib.covered(0, 0).collect::<Vec<_>>(), routes(&model));
            prop_assert!(rib.nodes.len() - rib.free.len() <= 2 * model.len() + 1);
        }

        #[test]
        fn walks_find_what_covers_and_what_is_covered(
            held in prop::collection::btree_map(prefixes(), 1_u32.., 0..60),
            (key, len) in prefixes(),
        ) {
            let mut rib = Rib::new();
            for route in routes(&held) {
                rib.insert(route);
            }
            let covered = |key: u32, len: u8, by: (u32, u8)| by.1 <= len && key.first(by.1) == by.0;
            let all = routes(&held);
            let below = all.iter().filter(|it| covered(it.key, it.len, (key, len)));
            prop_assert!(rib.covered(key, len).eq(below.copied()));
            let above = all.iter().filter(|it| covered(key, len, (it.key, it.len)));
            prop_assert!(rib.covering(key, len).eq(above.copied()));
        }
    }

    #[test]
    fn nodes_are_used_again() {
        let mut rib = Rib::new();
        for round in 0..3 {
            for key in 0..1000_u32 {
                rib.insert(Route { key: key << 8, len: 24, value: key + round + 1 });
            }
            for key in 0..1000_u32 {
                assert_eq!(rib.remove(key << 8, 24), key + round + 1);
            }
        }
        assert_eq!(rib.len(), 0);
        assert!(rib.nodes.len() <= 2000, "{}", rib.nodes.len());
    }
}
