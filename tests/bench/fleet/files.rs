//! `renewd.toml`, the API key and the drop-in files.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use renewd::store::disk::{Disk, Perms};

use super::Spec;
use super::ca::Ca;

/// Writes `renewd.toml` and what it names.
pub(super) fn configuration(disk: &dyn Disk, spec: &Spec, ca: &Ca) -> io::Result<()> {
    let roots = spec.api.ca_file.clone().unwrap_or_else(|| spec.dir.join("root.pem"));
    let key = spec.api.api_key_file.clone().unwrap_or_else(|| spec.dir.join("api-key"));
    if spec.api.ca_file.is_none() {
        write(disk, &roots, &ca.root_pem(), 0o644)?;
    }
    if spec.api.api_key_file.is_none() {
        write(disk, &key, "01_made_up_for_measuring\n", 0o600)?;
    }
    let dir = spec.dir.display();
    let hook = if spec.hook { "[hook.reload]\ncommand = [\"/bin/true\"]\nmin_interval = \"0s\"\n\n" } else { "" };
    let text = format!(
        "inventory = \"{dir}/certs.d\"\nstate_dir = \"{dir}/state\"\ncontrol_socket = \"{dir}/control.sock\"\n\n{hook}\
         [api]\nurl = \"{}\"\nca_file = \"{}\"\napi_key_file = \"{}\"\nstatus_check_interval = \"off\"\n",
        spec.api.url,
        roots.display(),
        key.display()
    );
    write(disk, &spec.config(), &text, 0o640)
}

/// Writes the drop-in files.
pub(super) fn inventory(disk: &dyn Disk, spec: &Spec) -> io::Result<()> {
    let folder = spec.dir.join("certs.d");
    disk.make_dir(&folder, 0o750)?;
    for first in (0..spec.count).step_by(spec.per_file) {
        let mut text = String::new();
        for index in first..spec.count.min(first + spec.per_file) {
            entry(&mut text, spec, index).map_err(io::Error::other)?;
        }
        write(disk, &folder.join(format!("{}.toml", Spec::name(first))), &text, 0o640)?;
    }
    Ok(())
}

fn entry(text: &mut String, spec: &Spec, index: usize) -> std::fmt::Result {
    let (name, profile) = (Spec::name(index), &spec.api.profile);
    writeln!(text, "[[certificate]]\nname = \"{name}\"\nprofile = \"{profile}\"")?;
    writeln!(text, "common_name = \"{name}.example.test\"")?;
    writeln!(text, "dns_names = [\"{name}.example.test\", \"www.{name}.example.test\"]")?;
    if spec.is_rsa(index) {
        writeln!(text, "key = \"rsa-2048\"")?;
    }
    if spec.hook {
        writeln!(text, "hooks = [\"reload\"]")?;
    }
    writeln!(text)
}

fn write(disk: &dyn Disk, path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    disk.create(path, Perms { mode, ..Perms::PRIVATE }).and_then(|mut file| file.write(text.as_bytes())).map_err(named)
}
