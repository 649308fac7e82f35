//! A certificate that is there, as an entry of the inventory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::asked::Asked;
use super::file::{Form, Found, Ownership};
use super::source::Keeper;
use crate::config::{Main, is_invisible};
use crate::core::known::observed::Leaf;
use crate::core::name::CertName;
use crate::core::text::Text;
use crate::core::wanted::files::Pkcs12Encryption;
use crate::pki::certificate::Certificate;
use crate::pki::leaf;
use crate::store::layout::Layout;

pub(in crate::cli) use super::hook::Hooks;

/// A certificate and its files.
pub(in crate::cli) struct Adopted {
    pub(in crate::cli) leaf: Certificate,
    pub(super) facts: Leaf,
    /// What its keeper calls it.
    name: Option<String>,
    /// What its keeper runs after a renewal.
    pub(in crate::cli) command: Option<String>,
    /// Where it is served, as values of `probe`.
    pub(in crate::cli) probes: Vec<String>,
    /// Under the keys of `files`.
    files: BTreeMap<&'static str, PathBuf>,
    /// More files that hold the same.
    copies: Vec<Copied>,
    /// Symlinks and other files that are not kept, each with the file of `live` that stands for it.
    links: Vec<(PathBuf, PathBuf, &'static str)>,
    keeper: Option<Keeper>,
    /// The folder that certbot keeps for it.
    lineage: Option<PathBuf>,
    encryption: Pkcs12Encryption,
    key_held: Option<Ownership>,
    held: Option<Ownership>,
    pub(super) remarks: Vec<String>,
}

/// Files of one owner and group that hold what others of the certificate hold.
struct Copied {
    files: BTreeMap<&'static str, PathBuf>,
    held: Ownership,
    key_mode: Option<u32>,
    mode: Option<u32>,
}

impl Copied {
    /// Whether the file can be one of these: none is there under its key, and owner, group and mode are the same.
    fn fits(&self, role: &str, held: &Ownership, holds_key: bool) -> bool {
        let mode = if holds_key { self.key_mode } else { self.mode };
        !self.files.contains_key(role)
            && (&self.held.owner, &self.held.group) == (&held.owner, &held.group)
            && mode.is_none_or(|mode| mode == held.mode)
    }

    fn take(&mut self, role: &'static str, found: &Found) {
        let mode = if found.key.is_some() { &mut self.key_mode } else { &mut self.mode };
        *mode = Some(found.held.mode);
        self.files.insert(role, found.path.clone());
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![String::new(), "[[certificate.copy]]".to_owned()];
        lines.push(format!("owner = {}", quoted(&self.held.owner)));
        lines.push(format!("group = {}", quoted(&self.held.group)));
        lines.extend(self.key_mode.map(key_mode));
        lines.extend(self.mode.map(mode));
        let path = |path: &Path| quoted(&path.display().to_string());
        let files: Vec<String> = self.files.iter().map(|(role, file)| format!("{role} = {}", path(file))).collect();
        lines.push(format!("files = {{ {} }}", files.join(", ")));
        lines
    }
}

/// The line of a mode, less what would open the key to everybody.
fn key_mode(mode: u32) -> String {
    let remark = if mode & 0o007 == 0 { "" } else { "   # everybody could read the key" };
    format!("key_mode = \"{:04o}\"{remark}", mode & 0o660 | 0o400)
}

fn mode(mode: u32) -> String {
    format!("mode = \"{:04o}\"", mode & 0o664 | 0o400)
}

impl Adopted {
    pub(super) fn new(leaf: Certificate, facts: Leaf, name: Option<String>, command: Option<String>) -> Self {
        Self {
            leaf,
            facts,
            name,
            command,
            probes: Vec::new(),
            files: BTreeMap::new(),
            copies: Vec::new(),
            links: Vec::new(),
            keeper: None,
            lineage: None,
            encryption: Pkcs12Encryption::default(),
            key_held: None,
            held: None,
            remarks: Vec::new(),
        }
    }

    /// Takes the one key that is there, although nobody can tell whether it is its own.
    pub(super) fn guesses(&mut self, found: &Found) {
        let (path, kind) = (found.path.display(), found.unjudged().unwrap_or_else(|| "a key".to_owned()));
        self.remarks.push(format!("{path} holds {kind}: renewd cannot tell whether it belongs to the certificate"));
        self.take(found, "private_key", self.keeper);
    }

    /// Takes a file of its own.
    pub(super) fn take(&mut self, found: &Found, role: &'static str, keeper: Option<Keeper>) {
        let begins = found.certificates.first();
        if matches!(role, "fullchain" | "bundle") && begins.is_some_and(|first| *first != self.leaf) {
            let path = found.path.display();
            self.remarks
                .push(format!("{path} begins with another certificate than the leaf, which TLS servers refuse;"));
            self.remarks.push("renewd requests a new certificate at once, and writes the leaf first".to_owned());
        }
        self.keeper = keeper;
        if let Form::Pkcs12(encryption) = found.form {
            self.encryption = encryption;
        }
        let is_own = keeper != Some(Keeper::Certbot) && found.leads_to.is_none();
        if is_own && self.files.contains_key(role) {
            self.take_copy(found, role);
            return;
        }
        let held = if found.key.is_some() { &mut self.key_held } else { &mut self.held };
        if held.is_none() || ["certificate", "fullchain"].contains(&role) {
            *held = Some(found.held.clone());
        }
        if keeper == Some(Keeper::Certbot) {
            self.lineage = found.path.parent().map(Path::to_owned);
        } else if let Some(target) = &found.leads_to {
            self.links.push((found.path.clone(), target.clone(), in_live(role)));
        } else {
            self.files.insert(role, found.path.clone());
        }
    }

    /// Takes a file that holds the same as another.
    fn take_copy(&mut self, found: &Found, role: &'static str) {
        let holds_key = found.key.is_some();
        if let Some(copy) = self.copies.iter_mut().find(|copy| copy.fits(role, &found.held, holds_key)) {
            copy.take(role, found);
            return;
        }
        let held = found.held.clone();
        let mut copy = Copied { files: BTreeMap::new(), held, key_mode: None, mode: None };
        copy.take(role, found);
        self.copies.push(copy);
    }

    /// Notes a chain that other certificates have as well.
    pub(super) fn shares(&mut self, found: &Found) {
        let path = found.path.display();
        self.remarks
            .push(format!("{path} is the chain of several certificates, and is left out: no two may share a file"));
    }

    /// The entry, under a name that is not in `names` yet.
    pub(in crate::cli) fn text(
        &self,
        profile: &str,
        password_file: Option<&Path>,
        main: &Main,
        names: &mut BTreeSet<String>,
        hooks: &mut Hooks<'_>,
    ) -> String {
        let name = self.free_name(names);
        let mut asked = Asked::of(&self.facts, main);
        let untaken = leaf::untaken(&self.leaf).into_iter();
        asked.left_out.extend(untaken.map(|what| format!("{what} is left out: TLM accepts none of that kind")));
        let mut lines = self.comments(&name, main, &asked.left_out);
        lines.extend(["[[certificate]]".to_owned(), format!("name = {}", quoted(&name))]);
        lines.push(format!("profile = {}", quoted(profile)));
        lines.extend(asked.lines);
        if let Some(command) = &self.command {
            lines.push(format!("hooks = [{}]", quoted(&hooks.named(command, &name))));
        }
        match self.probes.as_slice() {
            [] => {}
            [probe] => lines.push(format!("probe = {probe}")),
            several => lines.push(format!("probe = [{}]", several.join(", "))),
        }
        lines.extend(self.access());
        let more: BTreeSet<&str> = self.links.iter().filter_map(|(_, _, file)| format_of(file)).collect();
        if !more.is_empty() {
            lines.push(format!("formats = {}", list(more)));
        }
        lines.extend(self.tables(password_file));
        lines.join("\n") + "\n\n"
    }

    fn free_name(&self, names: &mut BTreeSet<String>) -> String {
        let first = || self.facts.names.dns_names.first().cloned();
        let told = self.name.clone().or_else(|| self.facts.common_name.clone()).or_else(first);
        let wanted = name_of(&told.unwrap_or_else(|| "certificate".to_owned()));
        let others = (2..).map(|number| format!("{wanted}-{number}"));
        let free = std::iter::once(wanted.clone()).chain(others).find(|name| !names.contains(name));
        let name = free.unwrap_or(wanted);
        names.insert(name.clone());
        name
    }

    fn comments(&self, name: &str, main: &Main, left_out: &[String]) -> Vec<String> {
        let (facts, live) = (&self.facts, live(name, main));
        let holder = self.leaf.label();
        let mut said = vec![format!("{holder}: serial number {}, expires {}", facts.serial_number, facts.not_after)];
        // Where somebody looks for it, it is not valid before its server reads the new files.
        let (once, deploy) = match self.probes.as_slice() {
            [] => ("once it is valid", None),
            _ => ("once `renewd status` says deploying", Some(format!("  renewd deploy {name}"))),
        };
        if facts.key.is_none() {
            said.push(
                "its key is of a kind that renewd does not make: the next one is what the profile asks for".to_owned(),
            );
        }
        if let Some(lineage) = &self.lineage {
            let (lineage, live) = (lineage.display(), live.display());
            said.push(format!("certbot keeps it below {lineage}. The files have the same names here; {once}:"));
            said.push(format!("  mv {lineage} {lineage}.certbot && ln -s {live} {lineage}"));
            said.extend(deploy.clone());
        }
        for (link, target, file) in &self.links {
            let (link, target, there) = (link.display(), target.display(), live.join(file));
            said.push(format!("{link} is a symlink (to {target}), which is not replaced; {once}:"));
            said.push(format!("  ln -sfn {} {link}", there.display()));
            said.extend(deploy.clone());
        }
        said.extend(left_out.iter().chain(&self.remarks).cloned());
        said.extend(self.hint_of_key());
        // Commands are set off.
        let shown = |line: &String| format!("#{} {}", if line.starts_with(' ') { "  " } else { "" }, Text::new(line));
        said.iter().map(shown).collect()
    }

    /// What is needed for the certificate to be known, and not asked for at once.
    fn hint_of_key(&self) -> Option<String> {
        let key = self.files.get("private_key").or_else(|| self.files.get("bundle"));
        let leaf = ["fullchain", "certificate", "bundle"].iter().any(|role| self.files.contains_key(role));
        match key.filter(|_| leaf) {
            Some(key) => Some(format!(
                "until the first renewal the service has to read the key: setfacl -m u:renewd:r {}",
                key.display()
            )),
            None => Some(
                "key and certificate have no paths of their own here: renewd requests a new one at once".to_owned(),
            ),
        }
    }

    /// Owner, group and modes as they are, less what would open the key to everybody.
    fn access(&self) -> Vec<String> {
        let Some(key) = self.key_held.as_ref().or(self.held.as_ref()) else { return Vec::new() };
        let is_default = self.keeper == Some(Keeper::Certbot) && key.group == "root" && key.mode == 0o600;
        if is_default {
            return Vec::new();
        }
        let mut lines = vec![format!("owner = {}", quoted(&key.owner)), format!("group = {}", quoted(&key.group))];
        lines.extend(self.key_held.as_ref().map(|key| key_mode(key.mode)));
        if let Some(held) = &self.held {
            lines.push(mode(held.mode));
            if (&held.owner, &held.group) != (&key.owner, &key.group) {
                let (owner, group) = (&held.owner, &held.group);
                lines.push(format!(
                    "# The certificate was {owner}:{group}'s: `files` have one owner and group, a [[certificate.copy]] its own."
                ));
            }
        }
        lines
    }

    fn tables(&self, password_file: Option<&Path>) -> Vec<String> {
        if self.files.is_empty() {
            return Vec::new();
        }
        let mut lines = vec![String::new(), "[certificate.files]".to_owned()];
        let path = |path: &Path| quoted(&path.display().to_string());
        lines.extend(self.files.iter().map(|(role, file)| format!("{role} = {}", path(file))));
        if self.files.contains_key("pkcs12") {
            let password = password_file.and_then(|file| std::path::absolute(file).ok());
            lines.extend(password.map(|file| format!("pkcs12_password_file = {}", path(&file))));
            if self.encryption == Pkcs12Encryption::Legacy3des {
                lines.push("pkcs12_encryption = \"legacy-3des\"".to_owned());
            }
        }
        lines.extend(self.copies.iter().flat_map(Copied::lines));
        lines
    }
}

/// The path of the live set of a certificate.
fn live(name: &str, main: &Main) -> PathBuf {
    let layout = Layout::new(&main.state_dir);
    name.parse::<CertName>().map_or_else(|_| main.state_dir.clone(), |name| layout.live(&name))
}

/// The file of `live` that is what a key of `files` names.
fn in_live(role: &str) -> &'static str {
    match role {
        "private_key" => "privkey.pem",
        "certificate" => "cert.pem",
        "chain" => "chain.pem",
        "bundle" => "bundle.pem",
        "pkcs12" => "keystore.p12",
        "der" => "cert.der",
        "pkcs7" => "fullchain.p7b",
        _ => "fullchain.pem",
    }
}

/// The format that a file of `live` needs.
fn format_of(file: &str) -> Option<&'static str> {
    match file {
        "bundle.pem" => Some("bundle"),
        "keystore.p12" => Some("pkcs12"),
        "cert.der" => Some("der"),
        "fullchain.p7b" => Some("pkcs7"),
        _ => None,
    }
}

/// The nearest name that a certificate or a hook may have.
pub(super) fn name_of(text: &str) -> String {
    let fit = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c) { c } else { '-' };
    let text = text.to_lowercase().replace("*.", "wildcard.");
    let name: String = text.chars().map(fit).skip_while(|c| !c.is_ascii_alphanumeric()).take(60).collect();
    if name.is_empty() { "certificate".to_owned() } else { name }
}

/// A text as TOML writes it, with the numbers of what cannot be seen in it.
pub(in crate::cli) fn quoted(text: &str) -> String {
    if !text.chars().any(is_invisible) {
        return toml::Value::from(text).to_string();
    }
    let written = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() || is_invisible(c) => format!("\\U{:08X}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(written).collect::<String>())
}

pub(super) fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}
