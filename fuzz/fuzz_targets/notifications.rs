//! A fuzzer's bytes for the target `notifications`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pushgate_fuzz::notifications::play(bytes));
