//! A lying device: the bytes are what it and the driver do, four a step; the first says which ring.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| linecard_pmd_virtio::harness::run(data));
