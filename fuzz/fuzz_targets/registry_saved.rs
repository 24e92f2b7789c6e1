//! libFuzzer's door to [`menagerie_fuzz::registry_saved`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| menagerie_fuzz::registry_saved(data));
