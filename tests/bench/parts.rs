//! Wall time of each part of the work: `cargo bench --bench parts [-- NAME]`. Times are those of this machine and hour;
//! what is held to bounds are the instructions (`counts.rs`).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot go on has failed"
)]

mod material;
mod turn;
mod work;

use std::path::Path;
use std::sync::LazyLock;

use tempfile::TempDir;
use work::PARTS;

/// On the disk that the build is on: `/tmp` may be memory, where a sync costs nothing.
fn folder() -> TempDir {
    tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap()
}

static MATERIAL: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = folder();
    material::keep(folder.path());
    folder
});

#[divan::bench(args = PARTS.iter().map(|part| part.name), min_time = 0.3, max_time = 3)]
fn part(bencher: divan::Bencher<'_, '_>, name: &str) {
    let part = PARTS.iter().find(|part| part.name == name).unwrap();
    let folder = folder();
    let work = part.prepare(folder.path(), MATERIAL.path());
    bencher.bench_local(work);
}

fn main() {
    divan::main();
}
