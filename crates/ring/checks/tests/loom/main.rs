//! Every interleaving of small cases, and every value that C11 lets a load return.
//!
//! Loom watches every slot, so that two threads in one slot at once fail a model by themselves;
//! the models add what must be true of the elements.
#![cfg(loom)]

mod chunks;
mod hand_over;
mod harness;
mod lifetimes;
