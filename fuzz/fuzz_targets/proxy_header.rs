#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| longwire_fuzz::proxy_header(data));
