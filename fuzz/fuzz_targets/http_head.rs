//! A fuzzer's bytes for the target `http_head`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pushgate_fuzz::http_head::play(bytes));
