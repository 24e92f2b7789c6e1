//! libFuzzer's door to [`menagerie_fuzz::registry_payload`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| menagerie_fuzz::registry_payload(data));
