//! See `weir_native::probes::sctp`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| _native::probes::sctp(data));
