//! A fuzzer's bytes for the target `migrations`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pushgate_fuzz::migrations::play(bytes));
