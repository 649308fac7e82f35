//! Inventory entries for what was found, by the rules of `renewd adopt`, with the hooks and probes that follow from who serves
//! it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ask::{Service, Sight};
use super::faults;
use super::files::{Files, tidied};
use super::findings::Finding;
use super::mention::Server;
use crate::cli::adopt::entry::{Adopted, Hooks, quoted};
use crate::cli::adopt::file;
use crate::cli::adopt::source::{self, Source};
use crate::config::{Main, parse_inventory_file};
use crate::daemon::setup;

/// The text of a drop-in file, and what is wrong with it.
pub(super) fn text(findings: &[Finding<'_>], files: &Files, profile: &str, main: &Main) -> (String, Vec<String>) {
    let (mut hooks, mut names) = (Hooks::new(main), BTreeSet::new());
    let (mut text, mut complaints) = (String::new(), Vec::new());
    for finding in findings.iter().filter(|finding| is_wanted(finding)) {
        let Some(mut adopted) = adopted(finding, files, &mut complaints) else { continue };
        if adopted.command.is_none() {
            adopted.command = command(finding);
        }
        adopted.probes = probes(finding);
        text.push_str(&adopted.text(profile, None, main, &mut names, &mut hooks));
    }
    text.push_str(&hooks.text());
    let problems = parse_inventory_file(main, "what is printed", &text).err().unwrap_or_default();
    if !problems.is_empty() {
        complaints.push(format!("not accepted as it is:\n{}", setup::shown(&problems)));
    }
    (text, complaints)
}

/// What somebody depends on and renewd does not have yet; not what only its own CA can issue.
fn is_wanted(finding: &Finding<'_>) -> bool {
    let is_taken = finding.managed.is_some_and(|managed| managed.by.is_renewd() || managed.by.has_own_ca);
    finding.is_used() && !is_taken && !finding.files.is_empty()
}

/// The certificate as `adopt` takes it: from whoever manages it, else from its files.
fn adopted(finding: &Finding<'_>, files: &Files, complaints: &mut Vec<String>) -> Option<Adopted> {
    let managed = finding.managed.and_then(|managed| managed.source.as_deref());
    let source = match managed.map(|path| source::read(path, None)) {
        Some(Ok(source)) => source,
        Some(Err(why)) => {
            complaints.push(why);
            return None;
        }
        None => Source::loose(loose(finding, files, complaints)),
    };
    source.adopted(complaints).into_iter().find(|adopted| adopted.leaf == finding.leaf)
}

/// The files of a certificate, read again: by the names that configurations have for them.
fn loose(finding: &Finding<'_>, files: &Files, complaints: &mut Vec<String>) -> Vec<file::Found> {
    let mentions = finding.named.iter().map(|named| named.mention);
    let named = mentions.flat_map(|mention| [Some(&mention.certificate), mention.key.as_ref(), mention.chain.as_ref()]);
    let mut paths: BTreeSet<_> = named.flatten().map(|path| tidied(path)).collect();
    let is_named = |real: &std::path::PathBuf| {
        files.get(real).is_some_and(|file| file.paths.iter().any(|path| paths.contains(path)))
    };
    // What no configuration names stands in only where none names anything.
    let others: Vec<_> = finding.files.iter().chain(&finding.keys).filter(|real| !is_named(real)).collect();
    let lacks_key = !finding.keys.iter().any(is_named);
    let others =
        others.into_iter().filter(|real| finding.named.is_empty() || lacks_key && finding.keys.contains(*real));
    paths.extend(others.filter_map(|real| files.get(real)?.paths.first().cloned()).collect::<Vec<_>>());
    let mut found = Vec::new();
    for path in paths {
        match file::read(&path, None) {
            Ok(file) => found.push(file),
            Err(why) => complaints.push(why),
        }
    }
    found
}

/// The command by which its server takes a new one, as `adopt` reads commands.
fn command(finding: &Finding<'_>) -> Option<String> {
    let server = finding.named.first().map(|named| named.mention.server);
    let by_unit = finding.shown.iter().find_map(|(service, _)| faults::unit_and_verb(service, server));
    let by_server = || {
        let (unit, verb) = server.map(Server::reload)?.iter().find(|(unit, _)| is_installed(unit))?;
        Some(((*unit).to_owned(), *verb))
    };
    by_unit.or_else(by_server).map(|(unit, verb)| format!("systemctl {verb} {unit}"))
}

fn is_installed(unit: &str) -> bool {
    ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"]
        .iter()
        .any(|folder| std::path::Path::new(folder).join(unit).exists())
}

/// Where to look for it once it is installed.
fn probes(finding: &Finding<'_>) -> Vec<String> {
    let probes: BTreeSet<String> =
        finding.shown.iter().map(|(service, sights)| probe(finding, service, sights)).collect();
    probes.into_iter().collect()
}

fn probe(finding: &Finding<'_>, service: &Service, sights: &[&Sight]) -> String {
    let mut address = service.listener.address;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    // Without the key a probe asks for the first name.
    let first = finding.facts.names.dns_names.first();
    let is_seen_by_first =
        first.is_none() || sights.iter().any(|sight| sight.name.is_none() || sight.name.as_ref() == first);
    let name = sights.iter().find_map(|sight| sight.name.as_deref()).filter(|_| !is_seen_by_first);
    let address = quoted(&address.to_string());
    if name.is_none() && service.starttls.is_none() {
        return address;
    }
    let name = name.map_or(String::new(), |name| format!(", server_name = {}", quoted(name)));
    let starttls = service.starttls.map_or(String::new(), |protocol| format!(", starttls = {:?}", protocol.as_str()));
    format!("{{ address = {address}{name}{starttls} }}")
}
