//! The device in this process, by its BARs and its memory.

mod bench;
mod control;
mod receive;
mod transmit;
