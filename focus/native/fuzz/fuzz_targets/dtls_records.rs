//! See `weir_native::probes::dtls_records`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| _native::probes::dtls_records(data));
