//! See `weir_native::probes::descriptors`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| _native::probes::descriptors(data));
