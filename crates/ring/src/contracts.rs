//! What must not compile.
//!
//! A single producer cannot be cloned, a concurrent one can:
//! ```compile_fail,E0599
//! let (tx, rx) = linecard_ring::spsc::<u8>(1).unwrap();
//! tx.clone();
//! ```
//! ```
//! let (tx, rx) = linecard_ring::mpsc::<u8>(1).unwrap();
//! tx.clone();
//! ```
//!
//! Nor a single consumer:
//! ```compile_fail,E0599
//! let (tx, rx) = linecard_ring::mpsc::<u8>(1).unwrap();
//! rx.clone();
//! ```
//!
//! Elements that may not change threads cannot be handed over:
//! ```compile_fail,E0277
//! let ring = linecard_ring::mpmc::<std::rc::Rc<u8>>(1);
//! ```
//! ```compile_fail,E0277
//! fn send<T: Send>() {}
//! send::<linecard_ring::Ring<std::rc::Rc<u8>, linecard_ring::Multi, linecard_ring::Multi>>();
//! ```
//!
//! A ring with a single side cannot be used through a shared reference on that side:
//! ```compile_fail,E0277
//! let ring = linecard_ring::Ring::<u8, linecard_ring::Single, linecard_ring::Multi>::new(1).unwrap();
//! ring.enqueue(1);
//! ```
//!
//! A handle is not shared between threads, even a concurrent one: clone it, or share the ring.
//! ```compile_fail,E0277
//! fn sync<T: Sync>() {}
//! sync::<linecard_ring::Producer<u8, linecard_ring::Multi, linecard_ring::Multi>>();
//! ```
//!
//! Looking before taking needs an exclusive side:
//! ```compile_fail,E0277
//! let (tx, mut rx) = linecard_ring::mpmc::<u8>(1).unwrap();
//! rx.peek_burst(1);
//! ```
//!
//! Elements that need a drop, or hold an address, do not go into memory that others map:
//! ```compile_fail,E0277
//! type Strings = linecard_ring::Ring<String, linecard_ring::Multi, linecard_ring::Multi>;
//! Strings::bytes_for(4).unwrap();
//! ```
//!
//! A chunk keeps its end from being used:
//! ```compile_fail,E0499
//! let (mut tx, rx) = linecard_ring::spsc::<u8>(4).unwrap();
//! let chunk = tx.reserve_burst(1);
//! tx.enqueue(1).unwrap();
//! drop(chunk);
//! ```
