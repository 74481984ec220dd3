//! A front-end and a guest made of any bytes: messages, descriptor tables, indices.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| linecard_pmd_vhost::harness::run(bytes));
