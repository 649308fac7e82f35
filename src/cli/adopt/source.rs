//! Where certificates come from: loose files, a lineage of certbot, or a request that certmonger tracks; and which file of
//! them is what of which certificate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::entry::Adopted;
use super::file::{self, Form, Found};
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::pki::certificate::Certificate;
use crate::pki::key_file::Belonging;
use crate::pki::{chain, leaf};

/// Files that belong together, and what their keeper knows of them.
#[derive(Default)]
pub(in crate::cli) struct Source {
    pub(super) found: Vec<Found>,
    /// Their keeper, where there is one.
    keeper: Option<Keeper>,
    /// What it calls the certificate.
    name: Option<String>,
    /// What it runs after a renewal.
    command: Option<String>,
    remarks: Vec<String>,
}

/// Who renewed the certificate until now.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Keeper {
    Certbot,
    Certmonger,
}

/// Reads what is at `path`.
pub(in crate::cli) fn read(path: &Path, password: Option<&str>) -> Result<Source, String> {
    if path.is_dir() {
        return lineage(path);
    }
    let bytes = file::bytes(path)?;
    match std::str::from_utf8(&bytes).map(tracked) {
        Ok(tracked) if tracked.contains_key("key_storage_type") => request(path, &tracked),
        Ok(_) | Err(_) => Ok(Source::loose(vec![file::read(path, password)?])),
    }
}

/// A folder `live/NAME` of certbot.
fn lineage(path: &Path) -> Result<Source, String> {
    let files = ["privkey.pem", "cert.pem", "chain.pem", "fullchain.pem"].map(|name| path.join(name));
    if !files.iter().all(|file| file.exists()) {
        return Err(format!(
            "{} is a folder, but not a lineage of certbot (live/NAME with privkey.pem, cert.pem, chain.pem, fullchain.pem)",
            path.display()
        ));
    }
    let absolute = std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let found = files.iter().map(|path| file::read(path, None)).collect::<Result<Vec<_>, _>>()?;
    let name = absolute.file_name().map(|name| name.to_string_lossy().into_owned());
    let conf = absolute.parent().and_then(Path::parent).zip(name.as_ref());
    let conf = conf.map(|(root, name)| root.join("renewal").join(format!("{name}.conf")));
    let bytes = conf.as_deref().and_then(|conf| file::bytes(conf).ok()).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let settings: BTreeMap<&str, &str> = text.lines().filter_map(setting).collect();
    let plugin = match settings.get("installer") {
        Some(&"nginx") => Some("systemctl reload nginx.service"),
        Some(&"apache") => Some("systemctl reload apache2.service"),
        Some(_) | None => None,
    };
    let command = ["renew_hook", "deploy_hook", "post_hook"].iter().find_map(|key| settings.get(key).copied());
    let mut remarks = Vec::new();
    if let Some(conf) = conf.as_deref().filter(|conf| conf.exists()) {
        let conf = conf.display();
        remarks.push("certbot keeps renewing it until you stop it:".to_owned());
        remarks.push(format!("  mv {conf} {conf}.off"));
    }
    if let Some(before) = settings.get("pre_hook") {
        remarks.push(format!("certbot ran before each renewal, which renewd does not: {}", Text::new(before)));
    }
    Ok(Source { found, keeper: Some(Keeper::Certbot), name, command: command.or(plugin).map(str::to_owned), remarks })
}

/// A line `key = value` of a configuration of certbot, whose values may stand in quotes.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let value = value.trim();
    let bare = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    Some((key.trim(), bare.unwrap_or(value)))
}

/// The values of a file below `/var/lib/certmonger/requests`; lines that go on begin with a blank.
fn tracked(text: &str) -> BTreeMap<&str, String> {
    let mut values: BTreeMap<&str, String> = BTreeMap::new();
    let mut last = None;
    for line in text.lines() {
        match (line.strip_prefix(' '), last, line.split_once('=')) {
            (Some(more), Some(key), _) => {
                if let Some(value) = values.get_mut(key) {
                    value.extend(["\n", more]);
                }
            }
            (None, _, Some((key, value))) => {
                last = Some(key);
                values.insert(key, value.to_owned());
            }
            (_, _, _) => last = None,
        }
    }
    values
}

/// What certmonger calls a request and where its certificate lies, where it keeps that in a file.
pub(in crate::cli) fn tracked_by_certmonger(path: &Path) -> Option<(String, PathBuf)> {
    let bytes = file::bytes(path).ok()?;
    let values = tracked(std::str::from_utf8(&bytes).ok()?);
    let location = values.get("cert_storage_location").filter(|location| location.starts_with('/'))?;
    (values.get("cert_storage_type").is_some_and(|kind| kind == "FILE"))
        .then(|| (values.get("id").cloned().unwrap_or_default(), PathBuf::from(location)))
}

/// A request that certmonger tracks.
fn request(path: &Path, values: &BTreeMap<&str, String>) -> Result<Source, String> {
    let of = |key: &str| values.get(key).map(String::as_str);
    let location = |what: &str| match (of(&format!("{what}_storage_type")), of(&format!("{what}_storage_location"))) {
        (Some("FILE"), Some(location)) => Ok(PathBuf::from(location)),
        (kind, _) => {
            let (what, kind) = (if what == "key" { "key" } else { "certificate" }, Text::new(kind.unwrap_or("none")));
            let path = path.display();
            Err(format!("{path}: certmonger keeps the {what} in {kind}; renewd writes only files: export it to one"))
        }
    };
    let places = [location("key")?, location("cert")?];
    if !places.iter().all(|place| place.exists()) {
        let state = Text::new(of("state").unwrap_or("unknown"));
        return Err(format!(
            "{}: certmonger has not both key and certificate yet (its state is {state})",
            path.display()
        ));
    }
    let found = places.iter().map(|place| file::read(place, None)).collect::<Result<Vec<_>, _>>()?;
    let mut remarks = Vec::new();
    for key in ["root_cert_files", "other_root_cert_files", "other_cert_files"] {
        if let Some(files) = of(key) {
            let files = Text::new(files);
            remarks.push(format!(
                "certmonger wrote CAs to {files}, which renewd does not; `chain` of `files` comes closest"
            ));
        }
    }
    if let Some(before) = of("pre_certsave_command") {
        remarks.push(format!("certmonger ran before each change, which renewd does not: {}", Text::new(before)));
    }
    if let Some(id) = of("id") {
        remarks.push("certmonger keeps renewing it until you stop it; do so before this entry is in force:".to_owned());
        remarks.push(format!("  getcert stop-tracking -i {}", Text::new(id)));
    }
    // An id that nobody chose is the instant of the request.
    let chosen = of("id").filter(|id| !id.bytes().all(|c| c.is_ascii_digit() || c == b'-'));
    Ok(Source {
        found,
        keeper: Some(Keeper::Certmonger),
        name: chosen.map(str::to_owned),
        command: of("post_certsave_command").map(str::to_owned),
        remarks,
    })
}

impl Source {
    /// Files that nobody keeps.
    pub(in crate::cli) fn loose(found: Vec<Found>) -> Self {
        Self { found, ..Self::default() }
    }

    /// Whether nobody keeps the files: those of several sources may belong together.
    pub(super) const fn is_loose(&self) -> bool {
        self.keeper.is_none()
    }

    /// The certificates with their files; complains of files that belong to none.
    pub(in crate::cli) fn adopted(self, complaints: &mut Vec<String>) -> Vec<Adopted> {
        let mut adopted = self.leaves(complaints);
        for found in &self.found {
            let is_guess = self.may_be_key_of(found, &adopted);
            let own = |one: &&mut Adopted| is_of(found, &one.leaf);
            match adopted.iter_mut().filter(own).collect::<Vec<_>>().as_mut_slice() {
                [] if is_guess => adopted.iter_mut().for_each(|one| one.guesses(found)),
                [] => complaints.push(format!("{}: {}", found.path.display(), homeless(found))),
                [one] => one.take(found, role(found, &one.leaf), self.keeper),
                several => several.iter_mut().for_each(|one| one.shares(found)),
            }
        }
        for one in &mut adopted {
            one.remarks.extend(self.remarks.iter().cloned());
            one.remarks.extend(self.chain_remark(&one.leaf, one.facts.not_after));
        }
        adopted
    }

    /// Where a CA certificate beside the leaf expires first: clients refuse both alike.
    fn chain_remark(&self, leaf: &Certificate, not_after: Timestamp) -> Option<String> {
        let above: Vec<Certificate> = self.found.iter().flat_map(|found| &found.certificates).cloned().collect();
        let end = chain::served_end(leaf, &above).filter(|end| end.at < not_after)?;
        Some(format!("the CA certificate {} in its chain expires first, {}: renewal goes by that", end.subject, end.at))
    }

    /// Whether a key of which nobody can tell whose it is can be the one certificate's alone: no other key is there.
    fn may_be_key_of(&self, found: &Found, adopted: &[Adopted]) -> bool {
        let [one] = adopted else { return false };
        let is_other =
            |other: &&Found| other.has_key_of(&one.leaf) || (other.key.is_some() && other.path != found.path);
        found.certificates.is_empty()
            && found.key_of(&one.leaf) == Belonging::Unknown
            && self.found.iter().find(is_other).is_none()
    }

    /// The newest certificate of each key, in the order of the files.
    fn leaves(&self, complaints: &mut Vec<String>) -> Vec<Adopted> {
        let mut leaves: Vec<Adopted> = Vec::new();
        for certificate in self.found.iter().flat_map(|found| &found.certificates) {
            let has_key = self.found.iter().any(|found| found.has_key_of(certificate));
            let is_known = leaves.iter().any(|known| known.leaf == *certificate);
            if is_known || (certificate.is_ca() && !has_key) {
                continue;
            }
            let facts = match leaf::read(certificate) {
                Ok(facts) => facts,
                Err(error) => {
                    complaints.push(format!("{}: {error}", certificate.label()));
                    continue;
                }
            };
            match leaves.iter_mut().find(|known| known.facts.spki == facts.spki) {
                Some(known) if known.facts.not_after < facts.not_after => {
                    (known.leaf, known.facts) = (certificate.clone(), facts);
                }
                Some(_) => {}
                None => leaves.push(Adopted::new(certificate.clone(), facts, self.name.clone(), self.command.clone())),
            }
        }
        leaves
    }
}

/// Whether a file holds this leaf, its key, or nothing but CAs of which one issued it.
fn is_of(found: &Found, leaf: &Certificate) -> bool {
    let is_chain = found.key.is_none()
        && found.certificates.iter().all(Certificate::is_ca)
        && found.certificates.iter().any(|ca| ca.is_named_as_issuer_of(leaf));
    found.has_key_of(leaf) || found.certificates.contains(leaf) || is_chain
}

/// What a file is to its certificate: the key of `files` that names it.
fn role(found: &Found, leaf: &Certificate) -> &'static str {
    match (found.form, found.key.is_some(), found.certificates.contains(leaf)) {
        (Form::Pkcs12(_), _, _) => "pkcs12",
        (Form::Der, _, _) => "der",
        (Form::Pkcs7, _, _) => "pkcs7",
        (Form::Pem, true, true) => "bundle",
        (Form::Pem, true, false) => "private_key",
        (Form::Pem, false, true) if found.certificates.len() > 1 => "fullchain",
        (Form::Pem, false, true) => "certificate",
        (Form::Pem, false, false) => "chain",
    }
}

fn homeless(found: &Found) -> String {
    if let Some(kind) = found.unjudged() {
        return format!("it holds {kind}: renewd cannot tell which certificate it belongs to");
    }
    match (found.key.is_some(), found.certificates.is_empty()) {
        (true, true) => "the certificate of this private key is in none of the files",
        (_, false) if found.certificates.iter().all(Certificate::is_ca) => {
            "it holds only certificates of CAs, and none of the files holds one that they issued"
        }
        (_, _) => "it holds an older certificate than another file has for the same key",
    }
    .to_owned()
}
