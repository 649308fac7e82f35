//! A synthetic host: configuration, inventory, and every certificate installed as renewd itself would have left it.

mod ca;
mod disk;
mod files;
mod install;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use renewd::config::{self, Inventory, ServiceUser};
use renewd::core::time::Timestamp;
use renewd::daemon::clock::{Clock as _, SystemClock};
use renewd::store::disk::Disk as _;

use ca::Ca;
use disk::Unsynced;

/// What to make.
pub(crate) struct Spec {
    pub(crate) dir: PathBuf,
    pub(crate) count: usize,
    /// Of a hundred.
    pub(crate) rsa: u8,
    /// From now, spread evenly between the two.
    pub(crate) ends: (Duration, Duration),
    pub(crate) per_file: usize,
    /// Of a hundred.
    pub(crate) absent: u8,
    pub(crate) hook: bool,
    pub(crate) seed: u64,
    pub(crate) api: Api,
}

/// How the API is reached; what is not there is made up.
pub(crate) struct Api {
    pub(crate) url: String,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) api_key_file: Option<PathBuf>,
    pub(crate) profile: String,
}

impl Spec {
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("renewd.toml")
    }

    fn name(index: usize) -> String {
        format!("host{index:06}")
    }

    fn is_rsa(&self, index: usize) -> bool {
        self.draw(index, 1) % 100 < u64::from(self.rsa)
    }

    fn is_absent(&self, index: usize) -> bool {
        self.draw(index, 2) % 100 < u64::from(self.absent)
    }

    fn not_after(&self, index: usize, now: Timestamp) -> Timestamp {
        let (first, last) = self.ends;
        let width = (last - first).as_secs();
        now + first + Duration::from_secs(self.draw(index, 3) % (width + 1))
    }

    /// A number for a certificate and a purpose, by splitmix64.
    fn draw(&self, index: usize, purpose: u64) -> u64 {
        let mut state = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (purpose << 56) ^ index as u64;
        for _ in 0..2 {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            state ^= state >> 31;
        }
        state
    }
}

/// Makes the host.
///
/// # Errors
///
/// When something is there already, or a file operation fails.
pub(crate) fn make(spec: &Spec) -> io::Result<()> {
    let disk = Unsynced;
    let now = SystemClock::default().now();
    let ca = Ca::new(now);
    std::fs::create_dir_all(&spec.dir)?;
    files::configuration(&disk, spec, &ca)?;
    files::inventory(&disk, spec)?;
    disk.make_dir(&spec.dir.join("state"), 0o755)?;
    let main = config::load_main(&spec.config()).map_err(|problems| told(&problems))?;
    let inventory = inventory(&main)?;
    install::all(disk, &main, &inventory, spec, &ca, now)
}

/// The entries as renewd reads them.
fn inventory(main: &config::Main) -> io::Result<Inventory> {
    let files = config::load_inventory(main, ServiceUser::of_process()).map_err(|problem| told(&[problem]))?;
    let inventory = config::resolve(files, &main.hooks, &config::InForce::new());
    let refused = inventory.refusals().next().map(|refused| told(refused.problems));
    refused.map_or(Ok(inventory), Err)
}

fn told(problems: &[config::Problem]) -> io::Error {
    io::Error::other(renewd::daemon::setup::shown(problems))
}
