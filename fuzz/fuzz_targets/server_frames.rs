//! libFuzzer's door to [`menagerie_fuzz::server_frames`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| menagerie_fuzz::server_frames(data));
