//! The manual: the pages of `src/cli/pages` in roff. What the command line and the schemas know comes from them: the
//! synopsis and the options of a command, the keys of renewd.toml.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

#[path = "page.rs"]
mod page;

pub(crate) use page::keys_of_renewd_toml;
use page::markdown::{Page, escaped, page};

/// Every page in roff, by the name of its file (`renewd-status.1`).
pub(crate) fn pages() -> BTreeMap<String, String> {
    sources().into_iter().map(|(name, text)| (name, written(&text))).collect()
}

/// The pages as they are written, by the names of their files without `.md`.
pub(crate) fn sources() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/pages");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().strip_suffix(".md").unwrap().to_owned();
    files.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
}

fn written(text: &str) -> String {
    let (before, after) = text.split_once("<!-- the keys -->").unwrap_or((text, ""));
    let page = page(before);
    let mut roff = format!(".TH {} {} \"\" \"renewd {}\"\n.ad l\n", page.name, page.section, env!("CARGO_PKG_VERSION"));
    match command(&page.name) {
        Some(command) => of_command(&page, &Man::new(command), &mut roff),
        None => {
            roff.push_str(&format!(".SH NAME\n{} \\- {}\n", escaped(&page.name), page.summary));
            page.sections.iter().for_each(|section| push(section, &mut roff));
        }
    }
    if !after.is_empty() {
        roff.push_str(&keys_of_renewd_toml());
        // What follows is no page of its own, but read as one.
        let rest = self::page(&format!("# rest(5)\n\n{after}"));
        rest.sections.iter().for_each(|section| push(section, &mut roff));
    }
    roff
}

/// The program, or its command of this page.
fn command(page: &str) -> Option<Command> {
    let mut program = renewd::cli::command().disable_help_subcommand(true);
    program.build();
    if page == "renewd" {
        return Some(program);
    }
    program.find_subcommand(page.strip_prefix("renewd-")?).cloned()
}

/// The options stand after the description.
fn of_command(page: &Page, man: &Man, roff: &mut String) {
    let mut put = |render: &dyn Fn(&mut dyn std::io::Write) -> std::io::Result<()>| {
        let mut bytes = Vec::new();
        render(&mut bytes).unwrap();
        roff.push_str(&String::from_utf8(bytes).unwrap());
    };
    put(&|to| man.render_name_section(to));
    put(&|to| man.render_synopsis_section(to));
    for section in &page.sections {
        put(&|to| to.write_all(format!(".SH {}\n{}", quoted(&section.0), section.1).as_bytes()));
        if section.0 == "DESCRIPTION" {
            put(&|to| man.render_options_section(to));
        }
    }
}

fn push((heading, text): &(String, String), roff: &mut String) {
    roff.push_str(&format!(".SH {}\n{text}", quoted(heading)));
}

fn quoted(heading: &str) -> String {
    if heading.contains(' ') { format!("\"{heading}\"") } else { heading.to_owned() }
}
