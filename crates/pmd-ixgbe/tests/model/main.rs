//! The driver on the 82599 model, in this process.

mod bed;
mod conformance;
mod controls;
mod copper;
mod ends;
mod faults;
mod features;
mod merge;
mod other_process;
mod rules;
