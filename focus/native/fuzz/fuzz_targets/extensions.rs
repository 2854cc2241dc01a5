//! See `weir_native::probes::extensions`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| _native::probes::extensions(data));
