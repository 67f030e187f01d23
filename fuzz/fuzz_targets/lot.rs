//! A fuzzer's bytes for the target `lot`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pushgate_fuzz::lot::play(bytes));
