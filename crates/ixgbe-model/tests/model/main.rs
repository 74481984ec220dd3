//! The device in this process, by its BARs and its memory.

mod bench;
mod coalesce;
mod control;
mod functions;
mod pace;
mod receive;
mod time;
mod transmit;
mod virtual_functions;
