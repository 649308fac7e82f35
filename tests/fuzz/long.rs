//! Long runs led by coverage, with cargo-fuzz; the target is the name of the binary. See `Cargo.toml` beside this file.

#![no_main]

mod journal;
mod material;
mod standing;
mod targets;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let target = targets::TARGETS.into_iter().find(|(name, _)| *name == env!("CARGO_BIN_NAME"));
    let (_, run) = target.unwrap();
    run(data);
});
