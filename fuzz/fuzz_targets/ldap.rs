//! A fuzzer's bytes for the target `ldap`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pushgate_fuzz::ldap::play(bytes));
