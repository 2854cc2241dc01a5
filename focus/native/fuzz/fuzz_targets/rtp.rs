//! See `weir_native::probes::rtp`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| _native::probes::rtp(data));
