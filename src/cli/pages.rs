//! The manual, as `man renewd` leads to it: the packages hold these pages in roff, made by `cargo run --example assets`. The
//! pages of the commands stand beside them in `src/cli/pages`.

#[doc = include_str!("pages/renewd.8.md")]
pub mod renewd {}
#[doc = include_str!("pages/renewd.toml.5.md")]
pub mod renewd_toml {}
#[doc = include_str!("pages/renewd-operations.7.md")]
pub mod operations {}
#[doc = include_str!("pages/renewd-metrics.7.md")]
pub mod metrics {}
#[doc = include_str!("pages/renewd-migrating.7.md")]
pub mod migrating {}
#[doc = include_str!("pages/renewd-promises.7.md")]
pub mod promises {}
#[doc = include_str!("pages/renewd-security.7.md")]
pub mod security {}
#[doc = include_str!("pages/renewd-performance.7.md")]
pub mod performance {}
