#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    mwt_fuzz::parse(input);
});
