//! libFuzzer's door to [`menagerie_fuzz::frame`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| menagerie_fuzz::frame(data));
