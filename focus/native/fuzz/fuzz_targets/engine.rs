//! See `weir_native::probes::engine`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| _native::probes::engine(data));
