//! Numbers of buffers that are free, first in, first out: a device that goes in order gets them in
//! order, and what stands in the ring already is right.

/// A queue of as many numbers as a ring has descriptors.
pub(crate) struct Ids {
    ids: Box<[u16]>,
    /// Where the next is taken.
    head: u16,
    /// How many are there.
    len: u16,
}

impl Ids {
    /// All numbers below `size`, in order.
    pub(crate) fn all(size: u16) -> Self {
        Ids { ids: (0..size).collect(), head: 0, len: size }
    }

    /// The next, left in place.
    #[inline(always)]
    pub(crate) fn peek(&self) -> u16 {
        self.ids[usize::from(self.head)]
    }

    /// The next. There must be one.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> u16 {
        let id = self.ids[usize::from(self.head)];
        self.head = self.wrapped(u32::from(self.head) + 1);
        self.len -= 1;
        id
    }

    /// Adds one that was taken.
    #[inline(always)]
    pub(crate) fn push(&mut self, id: u16) {
        let at = self.wrapped(u32::from(self.head) + u32::from(self.len));
        self.ids[usize::from(at)] = id;
        self.len += 1;
    }

    #[inline(always)]
    fn wrapped(&self, at: u32) -> u16 {
        let size = self.ids.len() as u32;
        (if at >= size { at - size } else { at }) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_in_the_order_in_which_they_were_freed() {
        let mut ids = Ids::all(3);
        assert_eq!([ids.pop(), ids.pop(), ids.pop()], [0, 1, 2]);
        ids.push(2);
        ids.push(0);
        assert_eq!((ids.peek(), ids.len), (2, 2));
        assert_eq!([ids.pop(), ids.pop()], [2, 0]);
    }
}
