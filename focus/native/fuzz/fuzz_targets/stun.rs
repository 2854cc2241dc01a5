//! See `weir_native::probes::stun`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| _native::probes::stun(data));
