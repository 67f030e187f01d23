//! A fuzzer's bytes for the target `proxy_protocol`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pushgate::gateway::proxy_protocol::fuzz(bytes));
