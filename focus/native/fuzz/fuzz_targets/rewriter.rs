//! See `weir_native::probes::rewriter`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| _native::probes::rewriter(data));
