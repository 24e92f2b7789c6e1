//! libFuzzer's door to [`menagerie_fuzz::reply`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| menagerie_fuzz::reply(data));
