//! See `weir_native::probes::rtcp`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| _native::probes::rtcp(data));
