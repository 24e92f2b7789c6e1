//! libFuzzer's door to [`menagerie_fuzz::connect_string`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| menagerie_fuzz::connect_string(data));
