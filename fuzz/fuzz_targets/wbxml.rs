//! A fuzzer's bytes for the target `wbxml`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pushgate_fuzz::wbxml::play(bytes));
