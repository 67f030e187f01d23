//! Any bytes as bodies.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pushgate::logic::eas::fuzz::wbxml_reader(bytes));
