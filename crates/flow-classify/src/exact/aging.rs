//! Idle time-outs without looking at every entry.
//!
//! Readers note when they saw an entry ([`Found::touch`]), in ticks of whatever clock the program
//! has. [`Aging`] is a wheel of lists: an entry is looked at when it would have been idle too long if
//! nobody had touched it since, and then it is removed or put further on. So each is looked at about
//! once per time-out, however often it is touched, and what is not due is not looked at.

use super::entry::{Found, Position};
use super::key::Key;
use super::write::Writer;

/// Lists of the wheel, a power of two. An entry that is due later than a turn from now is passed once a turn.
const TURN: usize = 1024;
/// The list of what is due and was not looked at for want of budget.
const PENDING: usize = TURN;

const NONE: u32 = u32::MAX;
/// In `Node::before`: the first of the list in the low bits.
const FIRST: u32 = 1 << 31;

/// When which entries of a [`Writer`] end unless they are used. Held beside it, by who writes.
#[derive(Debug)]
pub struct Aging {
    /// The first of each list.
    lists: Vec<u32>,
    nodes: Vec<Node>,
    /// The first tick whose list was not looked at.
    tick: u32,
    watched: usize,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// `NONE`: in no list.
    before: u32,
    after: u32,
    timeout: u32,
    /// Of the entry; another one may be at its position by now.
    generation: u32,
}

/// How far [`Aging::advance`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Entries that were removed.
    pub removed: usize,
    /// Entries that were looked at.
    pub looked_at: usize,
    /// Ticks that are still to be gone through: 0 unless the budget was used up.
    pub behind: u32,
}

impl Aging {
    /// For entries of `writer`. It is the tick `now`.
    pub fn new<K: Key, V>(writer: &mut Writer<K, V>, now: u32) -> Self {
        writer.count_generations();
        let node = Node { before: NONE, after: NONE, timeout: 0, generation: 0 };
        let nodes = vec![node; writer.table().positions()];
        Self { lists: vec![NONE; TURN + 1], nodes, tick: now, watched: 0 }
    }

    /// The entry at `position`, just inserted or touched, ends when it is not touched for `timeout`
    /// ticks (1 to 2^30) from `now` on. Where there is none, nothing happens.
    pub fn watch<K: Key, V>(
        &mut self,
        writer: &Writer<K, V>,
        position: Position,
        timeout: u32,
        now: u32,
    ) {
        let (Some(found), index) = (writer.at(position), position.0) else { return };
        found.touch(now);
        self.forget(position);
        let timeout = timeout.clamp(1, 1 << 30);
        let node = &mut self.nodes[index as usize];
        (node.timeout, node.generation) = (timeout, writer.generation(position));
        self.link(index, list_of(now.wrapping_add(timeout)));
        self.watched += 1;
    }

    /// The entry at `position` ends by no time-out. What was removed need not be forgotten.
    pub fn forget(&mut self, position: Position) {
        let is_linked = |node: &Node| node.before != NONE;
        if self.nodes.get(position.index()).is_some_and(is_linked) {
            self.unlink(position.0);
            self.watched -= 1;
        }
    }

    /// How many entries are watched. What was removed otherwise counts until it would have been due.
    pub fn watched(&self) -> usize {
        self.watched
    }

    /// It is the tick `now`: removes what has been idle too long, and shows each to `ended` (with the
    /// tick of its last use). Looks at `budget` entries at most, and goes on there the next time.
    pub fn advance<K: Key, V>(
        &mut self,
        writer: &mut Writer<K, V>,
        now: u32,
        budget: usize,
        mut ended: impl FnMut(Found<'_, K, V>),
    ) -> Progress {
        let mut progress = Progress { removed: 0, looked_at: 0, behind: 0 };
        // One turn passes every list.
        if is_after(now, self.tick) && now.wrapping_sub(self.tick) as usize >= TURN {
            self.tick = now.wrapping_sub(TURN as u32 - 1);
        }
        loop {
            while let Some(index) = self.first_pending() {
                if progress.looked_at == budget {
                    progress.behind = now.wrapping_sub(self.tick).wrapping_add(2);
                    return progress;
                }
                progress.looked_at += 1;
                progress.removed += usize::from(self.judge(writer, index, now, &mut ended));
            }
            if is_after(self.tick, now) {
                return progress;
            }
            self.make_pending(list_of(self.tick));
            self.tick = self.tick.wrapping_add(1);
        }
    }

    /// Removes an entry or puts it further on; says whether it removed it.
    fn judge<K: Key, V>(
        &mut self,
        writer: &mut Writer<K, V>,
        index: u32,
        now: u32,
        ended: &mut impl FnMut(Found<'_, K, V>),
    ) -> bool {
        let (position, node) = (Position(index), self.nodes[index as usize]);
        self.unlink(index);
        let same = writer.generation(position) == node.generation;
        let due = writer.at(position).map(|found| found.last_seen().wrapping_add(node.timeout));
        if let Some(due) = due.filter(|due| same && is_after(*due, now)) {
            self.link(index, list_of(due));
            return false;
        }
        self.watched -= 1;
        let removed = if same { writer.remove_at(position) } else { None };
        removed.is_some_and(|found| {
            ended(found);
            true
        })
    }

    fn first_pending(&self) -> Option<u32> {
        Some(self.lists[PENDING]).filter(|first| *first != NONE)
    }

    /// The pending list is empty, as `advance` sees to.
    fn make_pending(&mut self, list: usize) {
        let first = std::mem::replace(&mut self.lists[list], NONE);
        self.lists[PENDING] = first;
        if first != NONE {
            self.nodes[first as usize].before = FIRST | PENDING as u32;
        }
    }

    fn link(&mut self, index: u32, list: usize) {
        let after = std::mem::replace(&mut self.lists[list], index);
        let node = &mut self.nodes[index as usize];
        (node.before, node.after) = (FIRST | list as u32, after);
        if after != NONE {
            self.nodes[after as usize].before = index;
        }
    }

    fn unlink(&mut self, index: u32) {
        let Node { before, after, .. } = self.nodes[index as usize];
        if before & FIRST == 0 {
            self.nodes[before as usize].after = after;
        } else {
            self.lists[(before & !FIRST) as usize] = after;
        }
        if after != NONE {
            self.nodes[after as usize].before = before;
        }
        self.nodes[index as usize].before = NONE;
    }
}

fn list_of(tick: u32) -> usize {
    tick as usize % TURN
}

/// Of two ticks less than 2^31 apart.
fn is_after(one: u32, other: u32) -> bool {
    (one.wrapping_sub(other) as i32) > 0
}
