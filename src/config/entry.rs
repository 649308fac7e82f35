//! From a `[[certificate]]` table and `[defaults]` to an entry of the core: completes it, and compares its values with
//! each other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;

use super::entry_table::{CopyTable, EntryTable, FilesTable, NAME_KEYS};
use super::rare_names::OtherNamesTable;
use super::settings::Main;
use crate::config::syntax::diagnostics::Diagnostics;
use crate::config::syntax::from_toml::{FromToml, bare};
use crate::config::syntax::problem::Fault;
use crate::config::syntax::table::Table;
use crate::config::values::hours::ZoneName;
use crate::config::values::path::{AbsolutePath, Account};
use crate::core::compact::packed_names::Naming;
use crate::core::compact::settings::EntrySettings;
use crate::core::name::HookName;
use crate::core::time::Span;
use crate::core::wanted::entry::{Entry, OtherName, OtherSans, Sans, Source};
use crate::core::wanted::files::{Access, FileCopy, FixedFiles, Format, label};
use crate::core::wanted::subject::Subject;
use crate::core::wanted::window::DeployWindow;

/// What an entry is checked against beside itself.
pub(super) struct EntryContext<'a> {
    /// The main configuration.
    pub(super) main: &'a Main,
    /// The names of the hooks that the file may use.
    pub(super) hooks: &'a BTreeSet<HookName>,
    /// What messages call the file.
    pub(super) label: Arc<str>,
}

/// The entry that `own` and the defaults make; `None` after a problem was noted.
pub(super) fn entry(
    own: &Spanned<EntryTable>,
    around: &EntryContext<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Entry> {
    let span_of = SpanOf { own: own.get_ref(), header: own.span() };
    let table = span_of.own.clone().over(&around.main.defaults.0);
    span_of.own.check_targets(around.main, diagnostics);
    check_required(&table, &span_of, diagnostics);
    check_fallback(&table, &span_of, diagnostics);
    check_window(&table, &span_of, diagnostics);
    check_hours(&table, &span_of, diagnostics);
    check_hooks(&table, &span_of, around.hooks, diagnostics);
    check_files(&table, &span_of, diagnostics);
    let source = Source { file: around.label.clone(), line: diagnostics.line(span_of.header.start) };
    complete(table, source)
}

/// Where a problem of an entry is shown: at its own value, or at its header where the value is a default.
struct SpanOf<'a> {
    own: &'a EntryTable,
    header: Range<usize>,
}

impl SpanOf<'_> {
    fn of<T>(&self, own: Option<&Spanned<T>>) -> Range<usize> {
        own.map_or_else(|| self.header.clone(), Spanned::span)
    }

    fn of_target(&self, number: usize, key: &str) -> Range<usize> {
        self.of(self.own.target(number, key))
    }
}

fn check_required(table: &EntryTable, span_of: &SpanOf<'_>, diagnostics: &mut Diagnostics<'_>) {
    let mut lacks = |message: &str, expected: &str| {
        diagnostics.refuse(span_of.header.clone(), Fault::new(message).expected(expected));
    };
    if !table.has("name") {
        lacks("the certificate has no `name`", "a name that is unique in the inventory, such as name = \"www\"");
    }
    if !table.has("profile") {
        lacks("the certificate has no `profile`", "`profile`, here or in [defaults] of renewd.toml");
    }
    if !table.has("common_name") && !NAME_KEYS.iter().any(|key| table.has(key)) {
        lacks(
            "the certificate names nobody",
            "`common_name`, `dns_names`, `ip_addresses`, `emails`, `uris` or another kind of name",
        );
    } else if !table.has("common_name") && names(table).is_empty() && NAME_KEYS.iter().all(|key| !is_bad(table, key)) {
        lacks("the certificate names nobody: its lists of names are empty", "`common_name` or at least one name");
    }
}

/// Whether a list of names was written and could not be read.
fn is_bad(table: &EntryTable, key: &str) -> bool {
    table.has(key) && !table.own_keys().any(|(read, _)| read == key)
}

/// Whoever could not issue is no help.
fn check_fallback(table: &EntryTable, span_of: &SpanOf<'_>, diagnostics: &mut Diagnostics<'_>) {
    let Some(fallback) = &table.fallback else { return };
    let span = || span_of.of(span_of.own.fallback.as_ref());
    let Some(profile) = &fallback.get_ref().profile else {
        if !fallback.get_ref().has("profile") {
            diagnostics.refuse(span(), Fault::new("the fallback has no `profile`").expected("`profile` in it"));
        }
        return;
    };
    if table.profile.as_ref().is_some_and(|own| own.get_ref() == profile.get_ref()) {
        let fault = Fault::new("the fallback is the certificate's own profile");
        diagnostics.refuse(span(), fault.expected("another profile"));
    }
}

fn check_window(table: &EntryTable, span_of: &SpanOf<'_>, diagnostics: &mut Diagnostics<'_>) {
    let (Some(window), Some(validity)) = (&table.renew_before, &table.validity) else { return };
    let (window, validity) = (window.get_ref().0, validity.get_ref().span());
    if window <= validity {
        return;
    }
    let span = match &span_of.own.renew_before {
        Some(window) => window.span(),
        None => span_of.of(span_of.own.validity.as_ref()),
    };
    let fault = Fault::new(format!("a window longer than the validity of {}", Span(validity)));
    diagnostics.refuse(span, fault.expected("a `renew_before` of at most the `validity`"));
}

/// A window that stays closed for longer than there is time to renew is met by luck alone.
fn check_hours(table: &EntryTable, span_of: &SpanOf<'_>, diagnostics: &mut Diagnostics<'_>) {
    let own = span_of.own;
    let kinds = [
        ("deploy", &table.deploy_window, &own.deploy_window, &own.deploy_time_zone),
        ("request", &table.request_window, &own.request_window, &own.request_time_zone),
    ];
    for (kind, hours, own_hours, own_zone) in kinds {
        let Some(hours) = hours else {
            if let Some(zone) = own_zone {
                let fault = Fault::new(format!("a time zone without a `{kind}_window`"));
                diagnostics.refuse(zone.span(), fault.expected(format!("a `{kind}_window` beside it")));
            }
            continue;
        };
        let closed = hours.get_ref().longest_closed();
        let renew_before = table.renew_before.as_ref().map(|window| window.get_ref().0);
        let validity = table.validity.as_ref().map(|validity| validity.get_ref().span());
        let (time, expected) = match (renew_before, validity) {
            (Some(window), _) => (window, format!("the `renew_before` of {}", Span(window))),
            // No renewal window is longer.
            (None, Some(validity)) => (validity * 2 / 3, format!("two thirds of the `validity` of {}", Span(validity))),
            (None, None) => continue,
        };
        if closed > time {
            let fault = Fault::new(format!("the {kind} window stays closed for up to {}", Span(closed)));
            let fault = fault.expected(format!("one that opens within {expected}"));
            diagnostics.refuse(span_of.of(own_hours.as_ref()), fault);
        }
    }
}

fn check_hooks(
    table: &EntryTable,
    span_of: &SpanOf<'_>,
    known: &BTreeSet<HookName>,
    diagnostics: &mut Diagnostics<'_>,
) {
    for hook in table.hooks.iter().flat_map(Spanned::get_ref).filter(|hook| !known.contains(hook.get_ref())) {
        let span = if span_of.own.hooks.is_some() { hook.span() } else { span_of.header.clone() };
        diagnostics.refuse(span, unknown_hook(hook.get_ref(), known));
    }
}

/// A hook that no file defines.
pub(super) fn unknown_hook(hook: &HookName, known: &BTreeSet<HookName>) -> Fault {
    let fault = Fault::new(format!("no hook is named `{hook}`"));
    let fault = fault.expected(format!("a hook of renewd.toml or of this file: [hook.{hook}]"));
    fault.nearest(hook.as_str(), known.iter().map(HookName::as_str))
}

fn check_files(table: &EntryTable, span_of: &SpanOf<'_>, diagnostics: &mut Diagnostics<'_>) {
    let mut seen = BTreeMap::new();
    let targets = table.placements().flat_map(|(number, files)| files.targets().map(move |found| (number, found)));
    for (number, (key, target)) in targets {
        let AbsolutePath(path) = target.get_ref();
        if let Some((first, of)) = seen.insert(path, (number, key)) {
            let fault = Fault::new(format!("{} names the same file as {}", label(number, key), label(first, of)));
            diagnostics.refuse(span_of.of_target(number, key), fault.expected("a path of its own for each file"));
        }
    }
    let passwords = table.placements().filter_map(|(_, files)| files.pkcs12_password_file.as_ref());
    let passwords: BTreeSet<_> = passwords.map(|path| &path.get_ref().0).collect();
    for (number, key) in passwords.into_iter().filter_map(|path| seen.get(path)) {
        let fault = Fault::new(format!("{} would replace the file of the password", label(*number, key)));
        diagnostics.refuse(span_of.of_target(*number, key), fault.expected("a path of its own for each file"));
    }
    check_pkcs12(table, span_of, diagnostics);
    // One whose value is bad counts as named: that was told.
    let is_named = |copy: &CopyTable| match &copy.files {
        Some(files) => {
            files.get_ref().given().iter().any(|key| !key.starts_with("pkcs12_p") && !key.ends_with("_encryption"))
        }
        None => copy.has("files"),
    };
    for copy in table.copy.iter().flat_map(Spanned::get_ref).filter(|copy| !is_named(copy.get_ref())) {
        diagnostics
            .refuse(copy.span(), Fault::new("the copy names no file").expected("`files` with at least one path"));
    }
}

fn check_pkcs12(table: &EntryTable, span_of: &SpanOf<'_>, diagnostics: &mut Diagnostics<'_>) {
    let files = table.files.as_ref().map(Spanned::get_ref);
    if files.is_some_and(|files| files.has("pkcs12_password_file")) {
        return;
    }
    let fault = || Fault::new("a PKCS#12 file needs a password").expected("`pkcs12_password_file` in `files`");
    let is_bare = |files: &FilesTable| files.pkcs12.is_some() && !files.has("pkcs12_password_file");
    for (number, _) in table.placements().filter(|(_, files)| is_bare(files)) {
        diagnostics.refuse(span_of.of_target(number, "pkcs12"), fault());
    }
    if files.is_some_and(|files| files.pkcs12.is_some()) {
        return;
    }
    if let Some(format) = formats(table).find(|format| *format.get_ref() == Format::Pkcs12) {
        let span = if span_of.own.formats.is_some() { format.span() } else { span_of.header.clone() };
        diagnostics.refuse(span, fault());
    }
}

fn formats(table: &EntryTable) -> impl Iterator<Item = &Spanned<Format>> {
    table.formats.iter().flat_map(Spanned::get_ref)
}

fn complete(table: EntryTable, source: Source) -> Option<Entry> {
    let formats = all_formats(&table);
    let access = access(&table);
    let copies = copies(&table, &access);
    let names = names(&table);
    let naming = Naming {
        own_seat: table.seat.map(|seat| seat.into_inner().0),
        common_name: table.common_name.map(|name| name.into_inner().0),
        names,
    };
    let terms = EntrySettings {
        profile: table.profile?.into_inner(),
        fallback: table
            .fallback
            .and_then(|fallback| fallback.into_inner().profile)
            .map(|name| Box::new(name.into_inner())),
        subject: without_empty(table.subject.map(Spanned::into_inner).unwrap_or_default()),
        key: table.key.map(Spanned::into_inner),
        reuse_key: table.reuse_key.is_some_and(Spanned::into_inner),
        validity: table.validity.map(Spanned::into_inner),
        renew_before: table.renew_before.map(|window| window.into_inner().0),
        request_method: table.request_method.map(Spanned::into_inner).unwrap_or_default(),
        usages: table.usages.map(|usages| unique(bare(usages.into_inner()))),
        exact_names: table.exact_names.is_some_and(Spanned::into_inner),
        issuer: table.issuer.map(|pin| Box::new(pin.into_inner())),
        subject_from: table.subject_from.map(Spanned::into_inner).unwrap_or_default(),
        hooks: unique(list(table.hooks)),
        deploy_window: window(table.deploy_window, table.deploy_time_zone).map(Box::new),
        request_window: window(table.request_window, table.request_time_zone).map(Box::new),
        revoke_superseded: table.revoke_superseded.and_then(|span| span.into_inner().0),
        rollback: table.rollback.is_some_and(Spanned::into_inner),
        formats,
        include_root: table.include_root.is_some_and(Spanned::into_inner),
        access: access.into(),
        copies: copies.into(),
        custom_values: table.custom_values.map(|values| values.into_inner().0).unwrap_or_default().into(),
        cert_owner_ids: unique(list(table.cert_owner_ids)).into(),
        seat_email: table.seat_email.map(|email| email.into_inner().0),
        tags: list(table.tags).into(),
        custom_attributes: list(table.custom_attributes).into(),
        ca_attributes: table.ca_attributes.map(Spanned::into_inner).unwrap_or_default().into(),
    };
    Some(Entry {
        name: table.name?.into_inner(),
        source,
        naming: naming.into(),
        probes: unique(table.probe.map(|probe| bare(probe.into_inner().0)).unwrap_or_default()).into(),
        files: table.files.map(|files| fixed_files(files.into_inner()).into()).unwrap_or_default(),
        terms: Arc::new(terms),
    })
}

fn window(window: Option<Spanned<DeployWindow>>, zone: Option<Spanned<ZoneName>>) -> Option<DeployWindow> {
    let window = window?.into_inner();
    Some(DeployWindow { zone: zone.map(|zone| zone.into_inner().0), ..window })
}

fn names(table: &EntryTable) -> Sans {
    fn texts<T: Clone>(list: Option<&Spanned<Vec<Spanned<T>>>>, text: fn(&T) -> String) -> Vec<String> {
        unique(list.into_iter().flat_map(Spanned::get_ref).map(|item| text(item.get_ref())).collect())
    }
    let other_names = table.other_names.as_ref().map(Spanned::get_ref);
    Sans {
        dns_names: texts(table.dns_names.as_ref(), |name| name.0.clone()),
        ip_addresses: unique(list(table.ip_addresses.clone())).into(),
        emails: texts(table.emails.as_ref(), |email| email.0.clone()).into(),
        uris: texts(table.uris.as_ref(), |uri| uri.0.clone()).into(),
        others: OtherSans {
            user_principal_names: texts(table.user_principal_names.as_ref(), |name| name.0.clone()),
            registered_ids: texts(table.registered_ids.as_ref(), |id| id.0.clone()),
            directory_names: table.directory_name.iter().map(|name| name.get_ref().0.clone()).collect(),
            guids: texts(other_names.and_then(|names| names.guid.as_ref()), |guid| guid.0.clone()),
            other_names: unique(other_names.map(raw_other_names).unwrap_or_default()),
        }
        .into(),
    }
}

fn raw_other_names(table: &OtherNamesTable) -> Vec<OtherName> {
    let names = table.raw_other_names.iter().flat_map(Spanned::get_ref);
    names.map(|name| name.get_ref().0.clone()).collect()
}

/// The formats that are asked for, and those that a fixed file is a copy of.
fn all_formats(table: &EntryTable) -> Vec<Format> {
    let of_target = |(key, _): (&str, &Spanned<AbsolutePath>)| match key {
        "bundle" => Some(Format::Bundle),
        "pkcs12" => Some(Format::Pkcs12),
        "pkcs7" => Some(Format::Pkcs7),
        "der" => Some(Format::Der),
        _ => None,
    };
    let copied = table.placements().flat_map(|(_, files)| files.targets()).filter_map(of_target);
    let all: BTreeSet<_> = formats(table).map(|format| *format.get_ref()).chain(copied).collect();
    all.into_iter().collect()
}

/// An empty list takes a default attribute back.
fn without_empty(mut subject: Subject) -> Subject {
    subject.retain(|_, values| !values.is_empty());
    subject
}

fn access(table: &EntryTable) -> Access {
    let default = Access::default();
    Access {
        owner: table.owner.as_ref().map(account),
        group: table.group.as_ref().map(account),
        key_mode: table.key_mode.as_ref().map_or(default.key_mode, |mode| mode.get_ref().0),
        mode: table.mode.as_ref().map_or(default.mode, |mode| mode.get_ref().0),
    }
}

fn account(account: &Spanned<Account>) -> String {
    account.get_ref().0.clone()
}

/// The copies of an entry: what one does not say of owner, modes and the PKCS#12 file is as the entry says it.
fn copies(table: &EntryTable, access: &Access) -> Vec<FileCopy> {
    let own = table.files.as_ref().map(|files| fixed_files(files.get_ref().clone())).unwrap_or_default();
    let copy = |copy: &Spanned<CopyTable>| {
        let copy = copy.get_ref();
        let written = copy.files.as_ref().map(|files| files.get_ref().clone()).unwrap_or_default();
        let has_encryption = written.pkcs12_encryption.is_some();
        let files = fixed_files(written);
        FileCopy {
            files: FixedFiles {
                pkcs12_encryption: if has_encryption { files.pkcs12_encryption } else { own.pkcs12_encryption },
                pkcs12_password_file: files.pkcs12_password_file.or_else(|| own.pkcs12_password_file.clone()),
                ..files
            },
            access: Access {
                owner: copy.owner.as_ref().map(account).or_else(|| access.owner.clone()),
                group: copy.group.as_ref().map(account).or_else(|| access.group.clone()),
                key_mode: copy.key_mode.as_ref().map_or(access.key_mode, |mode| mode.get_ref().0),
                mode: copy.mode.as_ref().map_or(access.mode, |mode| mode.get_ref().0),
            },
        }
    };
    table.copy.iter().flat_map(Spanned::get_ref).map(copy).collect()
}

fn fixed_files(files: FilesTable) -> FixedFiles {
    let path = |path: Option<Spanned<AbsolutePath>>| path.map(|path| path.into_inner().0);
    FixedFiles {
        private_key: path(files.private_key),
        certificate: path(files.certificate),
        chain: path(files.chain),
        fullchain: path(files.fullchain),
        bundle: path(files.bundle),
        pkcs12: path(files.pkcs12),
        pkcs7: path(files.pkcs7),
        der: path(files.der),
        pkcs12_password_file: files.pkcs12_password_file.map(|path| path.into_inner().0),
        pkcs12_encryption: files.pkcs12_encryption.map(Spanned::into_inner).unwrap_or_default(),
    }
}

fn list<T>(list: Option<Spanned<Vec<Spanned<T>>>>) -> Vec<T> {
    list.map(|list| bare(list.into_inner())).unwrap_or_default()
}

/// Each item once, in the order of their first places.
fn unique<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    let mut once = Vec::with_capacity(items.len());
    for item in items {
        if !once.contains(&item) {
            once.push(item);
        }
    }
    once
}
