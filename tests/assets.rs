//! `cargo run --example assets -- DIR`: what the packages hold beside the program and plain files, made from the command
//! line's own definition, the schemas and `src/cli/pages`: man pages (`DIR/man1` and so on), scripts of bash, zsh and fish that ask the program what to propose, and the
//! schemas themselves (`DIR/schema`).

#![expect(clippy::unwrap_used, reason = "a page that cannot be made ends the build")]

#[path = "assets/manual.rs"]
mod manual;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use renewd::cli::completions::{self, Shell};
use renewd::config;

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("target/assets"), PathBuf::from);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    for (name, page) in manual::pages() {
        let section = folder.join(format!("man{}", name.rsplit('.').next().unwrap_or_default()));
        fs::create_dir_all(&section)?;
        File::create(section.join(name))?.write_all(page.as_bytes())?;
    }
    fs::create_dir_all(folder.join("schema"))?;
    for (name, schema) in [("main", config::main_schema()), ("inventory", config::inventory_schema())] {
        writeln!(File::create(folder.join(format!("schema/{name}.json")))?, "{schema:#}")?;
    }
    for (shell, name) in [(Shell::Bash, "renewd.bash"), (Shell::Zsh, "_renewd"), (Shell::Fish, "renewd.fish")] {
        File::create(folder.join(name))?.write_all(&completions::script(shell)?)?;
    }
    Ok(())
}
