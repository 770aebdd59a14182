#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| longwire_fuzz::deflate_round_trip(data));
