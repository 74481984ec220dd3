//! The device in this process, by its BARs and its memory.

mod bench;
mod coalesce;
mod control;
mod pace;
mod receive;
mod transmit;
