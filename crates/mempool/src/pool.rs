//! The safe front: objects of one type that drop back into their pool.

use crate::Builder;
use crate::error::Error;
use crate::mempool::{Home, Mempool};
use crate::object::Object;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// A pool of values of type `T`, made once and used again and again: a value that comes back stays
/// as it was left, for who takes it next to overwrite; all are dropped when the pool and the last loan are
/// gone.
pub struct Pool<T: Send> {
    raw: Mempool,
    /// Invariant: a value put in under a shorter lifetime would outlive it in here.
    values: PhantomData<fn(T) -> T>,
}

/// A value on loan from a [`Pool`]; dropping it returns it.
pub struct Pooled<T: Send> {
    object: Object,
    home: Home,
    /// Invariant, as the pool is.
    value: PhantomData<fn(T) -> T>,
}

/// # Safety
/// `at` points at a `T` that nobody uses any more.
unsafe fn drop_in_place<T>(at: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe { at.cast::<T>().drop_in_place() }
}

impl<T: Send> Pool<T> {
    /// Makes the pool that `builder` describes, with a value from `make` in every object. Size and
    /// alignment of objects are those of `T`.
    ///
    /// `T` borrows nothing: a value may lie in the cache of a thread that outlives the pool, and is
    /// dropped when that thread ends.
    ///
    /// ```compile_fail,E0597
    /// use linecard_mempool::{Mempool, Pool};
    /// let here = 7;
    /// let pool = Pool::new(Mempool::builder("borrows").size(8), || &here);
    /// ```
    ///
    /// Nor can a pool be taken for one of values that live shorter:
    ///
    /// ```compile_fail,E0597
    /// use linecard_mempool::{Mempool, Pool};
    /// let pool: Pool<&'static str> = Pool::new(Mempool::builder("words").size(1), || "word").unwrap();
    /// {
    ///     let short = String::from("short");
    ///     let same: Pool<&str> = pool.clone();
    ///     *same.take().unwrap() = &short;
    /// }
    /// println!("{}", *pool.take().unwrap());
    /// ```
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new(builder: Builder, mut make: impl FnMut() -> T) -> Result<Self, Error>
    where
        T: 'static,
    {
        let mut values: Vec<T> = Vec::new();
        values.resize_with(builder.asked(), &mut make);
        let builder = builder.object_size(size_of::<T>().max(1)).align(align_of::<T>().max(64));
        let raw = builder.watch(0..0).retire(drop_in_place::<T>).build()?;
        for (object, value) in raw.walk().zip(values) {
            // SAFETY: every object has the size and alignment of `T`, and the pool is new, so nobody
            // uses one. There are as many values as objects, so every object has one to retire.
            unsafe { object.cast::<T>().write(value) };
        }
        Ok(Pool { raw, values: PhantomData })
    }

    /// A value, if one is free.
    #[inline]
    pub fn take(&self) -> Option<Pooled<T>> {
        let object = self.raw.take()?;
        Some(Pooled { object, home: self.raw.home(), value: PhantomData })
    }

    /// `N` values, or none.
    #[inline]
    pub fn take_bulk<const N: usize>(&self) -> Option<[Pooled<T>; N]> {
        let mut objects = [self.raw.filler(); N];
        let home = self.raw.home();
        let pooled = |object| Pooled { object, home, value: PhantomData };
        self.raw.take_bulk(&mut objects).then(|| objects.map(pooled))
    }

    /// Values in all.
    pub fn size(&self) -> usize {
        self.raw.size()
    }

    /// Values that nobody has on loan.
    pub fn available(&self) -> usize {
        self.raw.available()
    }

    /// Values on loan.
    pub fn in_use(&self) -> usize {
        self.raw.in_use()
    }

    /// The raw pool beneath, to look at.
    pub fn raw(&self) -> &Mempool {
        &self.raw
    }
}

impl<T: Send> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Pool { raw: self.raw.clone(), values: PhantomData }
    }
}

// SAFETY: values move between threads (`T: Send`); no two have the same one.
unsafe impl<T: Send> Send for Pool<T> {}
// SAFETY: as above; a shared pool only lends values out.
unsafe impl<T: Send> Sync for Pool<T> {}

impl<T: Send> Deref for Pooled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `Pool::new` put a `T` there, and the loan is exclusive.
        unsafe { self.object.cast::<T>().as_ref() }
    }
}

impl<T: Send> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut T {
        let mut at: NonNull<T> = self.object.cast();
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { at.as_mut() }
    }
}

// SAFETY: a `Pooled` is the value: sent where `T` may be sent.
unsafe impl<T: Send> Send for Pooled<T> {}
// SAFETY: `&Pooled<T>` gives `&T`.
unsafe impl<T: Send + Sync> Sync for Pooled<T> {}

impl<T: Send> Drop for Pooled<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the object came from the pool that `home` names and is returned once, here.
        unsafe { self.home.put_bulk(&[self.object]) }
    }
}

impl<T: Send> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}

impl<T: Send + fmt::Debug> fmt::Debug for Pooled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
