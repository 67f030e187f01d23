//! A fuzzer's bytes for the target `record_open`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pushgate_fuzz::record_open::play(bytes));
