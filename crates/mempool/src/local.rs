//! A pool for a single thread: no atomics at all.

use core::cell::RefCell;
use core::fmt;
use core::ops::{Deref, DerefMut};
use std::rc::Rc;

/// A pool of values that stays on the thread that made it. The type is not `Send`.
///
/// ```
/// let pool = linecard_mempool::LocalPool::new(1, || [0u8; 64]);
/// let one = pool.take().expect("one is free");
/// assert!(pool.take().is_none());
/// drop(one);
/// assert_eq!(pool.available(), 1);
/// ```
pub struct LocalPool<T> {
    free: Rc<RefCell<Vec<Box<T>>>>,
    size: usize,
}

/// A value on loan from a [`LocalPool`]; dropping it returns it.
pub struct LocalPooled<T> {
    value: Option<Box<T>>,
    home: Rc<RefCell<Vec<Box<T>>>>,
}

impl<T> LocalPool<T> {
    /// A pool of `size` values from `make`.
    pub fn new(size: usize, mut make: impl FnMut() -> T) -> Self {
        let free = (0..size).map(|_| Box::new(make())).collect();
        LocalPool { free: Rc::new(RefCell::new(free)), size }
    }

    /// The value that came back last, if one is free.
    pub fn take(&self) -> Option<LocalPooled<T>> {
        let value = self.free.borrow_mut().pop()?;
        Some(LocalPooled { value: Some(value), home: Rc::clone(&self.free) })
    }

    /// Values in all.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Values that nobody has on loan.
    pub fn available(&self) -> usize {
        self.free.borrow().len()
    }

    /// Values on loan.
    pub fn in_use(&self) -> usize {
        self.size - self.available()
    }
}

impl<T> Deref for LocalPooled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("taken only by drop")
    }
}

impl<T> DerefMut for LocalPooled<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("taken only by drop")
    }
}

impl<T> Drop for LocalPooled<T> {
    fn drop(&mut self) {
        self.home.borrow_mut().extend(self.value.take());
    }
}

impl<T> fmt::Debug for LocalPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPool")
            .field("size", &self.size)
            .field("available", &self.available())
            .finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for LocalPooled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
