//! libFuzzer's door to [`menagerie_fuzz::server_operations`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| menagerie_fuzz::server_operations(data));
