//! `cargo run --example assets -- DIR`: what the packages hold beside the program and plain files, made from the command
//! line's own definition and the schemas: man pages (`DIR/man`, `DIR/man5`), completions for bash, zsh and fish, and the
//! schemas themselves (`DIR/schema`).

#[path = "assets/page.rs"]
mod page;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap_complete::Shell;
use renewd::config;

/// What the definition of the command line does not know.
const MORE: &str = "\
.SH FILES
.TP
.I /etc/renewd/renewd.toml
The main configuration.
.TP
.I /etc/renewd/certs.d/*.toml
The inventory: any number of certificates in each file. The directory is watched.
.TP
.I /etc/renewd/api-key
The API key, root's alone (0600): systemd hands it to the service as a credential.
.TP
.I /etc/renewd/hooks/NAME
Programs that renewd\\-hook@NAME.service runs as root.
.TP
.I /var/lib/renewd/certs/NAME/live
The files of a certificate: privkey.pem, cert.pem, chain.pem, fullchain.pem.
.TP
.I /usr/share/doc/renewd
The manual (README.md), and examples of drop\\-in files, of units and of a host laid out by Ansible.
.SH SIGNALS
.TP
.B SIGHUP
Reads the configuration, the inventory and the credentials' files again (systemctl reload renewd).
.TP
.BR SIGTERM \", \" SIGINT
Finishes a running install, ends running hooks, which stay owed, and stops.
.SH SEE ALSO
.BR renewd.toml (5),
.BR systemctl (1),
.BR systemd.service (5)
";

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("target/assets"), PathBuf::from);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let pages = folder.join("man");
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(renewd::cli::command(), &pages)?;
    let mut first = File::options().append(true).open(pages.join("renewd.1"))?;
    first.write_all(MORE.as_bytes())?;
    fs::create_dir_all(folder.join("man5"))?;
    File::create(folder.join("man5/renewd.toml.5"))?.write_all(page::renewd_toml().as_bytes())?;
    fs::create_dir_all(folder.join("schema"))?;
    for (name, schema) in [("main", config::main_schema()), ("inventory", config::inventory_schema())] {
        writeln!(File::create(folder.join(format!("schema/{name}.json")))?, "{schema:#}")?;
    }
    for (shell, name) in [(Shell::Bash, "renewd.bash"), (Shell::Zsh, "_renewd"), (Shell::Fish, "renewd.fish")] {
        let mut file = File::create(folder.join(name))?;
        clap_complete::generate(shell, &mut renewd::cli::command(), "renewd", &mut file);
    }
    Ok(())
}
