//! The driver on the 82599 model, in this process.

mod bed;
mod conformance;
mod ends;
mod faults;
mod features;
mod other_process;
mod rules;
