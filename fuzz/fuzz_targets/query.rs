//! A fuzzer's bytes for the target `query`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pushgate_fuzz::query::play(bytes));
