//! libFuzzer's door to [`menagerie_fuzz::record`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| menagerie_fuzz::record(data));
