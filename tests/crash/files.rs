//! What install, repair and the look at the files do on a disk that behaves, and a repair that is cut off.

use std::path::{Path, PathBuf};

use renewd::core::event::{self, Event};
use renewd::core::failure::{Failure, FailureClass};
use renewd::core::known::observed::Observed;
use renewd::core::wanted::entry::Entry;
use renewd::core::wanted::files::{FixedFiles, Format};
use renewd::store::content::BUNDLE;
use renewd::store::disk::{Disk, Hold, Perms};
use renewd::store::journal::Journal;
use renewd::store::observe::observe;
use renewd::store::targets::ServiceIdentity;
use renewd::store::{repair, replace, targets};

use crate::back::check;
use crate::daemon::{Daemon, identity, layout, terms};
use crate::disk::{Ignored, Machine, Sync};
use crate::material::{entry, sets, with_copies};
use crate::points::require;

fn installed(entry: &Entry) -> Machine {
    let machine = Machine::with_folders(&["/var/lib", "/etc/keys", "/etc/tls"]);
    Daemon::start(&machine, entry, None).unwrap().0.run().unwrap();
    machine.settle();
    machine
}

fn live(name: &str) -> PathBuf {
    layout().root().join("certs/www/1").join(name)
}

fn drift(machine: &Machine, entry: &Entry) -> Vec<String> {
    match observe(machine, &layout(), entry) {
        Observed::Installed(installed) => installed.drift.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

fn repair(machine: &Machine, entry: &Entry) -> Result<(), Failure> {
    repair::repair(machine, &layout(), &identity(), entry, &terms()).map(drop)
}

fn put(machine: &Machine, path: &str) {
    machine.create(Path::new(path), Perms::PRIVATE).unwrap().write(b"x").unwrap();
}

#[test]
fn a_repair_survives_every_crash() {
    let entry = with_copies();
    let machine = installed(&entry);
    let right = machine.all();
    let edited = [live("cert.pem"), "/etc/tls/www.crt".into(), "/etc/tls/www.pem".into(), "/etc/keys/www.key".into()];
    edited.iter().for_each(|path| machine.edit(path, b"somebody's edit"));
    let (before, drifted) = (machine.point(), machine.all());
    let holds = |machine: &Machine| -> Result<(), String> {
        let there = machine.all();
        let ends = [".pem", ".crt", ".key"];
        let is_ours = |path: &Path| {
            let name = path.to_string_lossy();
            !name.contains(".renewd-") && ends.iter().any(|end| name.ends_with(end))
        };
        for (path, file) in right.iter().filter(|(path, _)| is_ours(path)) {
            let now = there.get(path);
            require(now == Some(file) || now == drifted.get(path), &format!("{} is half-written", path.display()))?;
        }
        let journal = Journal::read::<Vec<event::Entry>>(machine, &layout()).map_err(|failure| failure.to_string())?;
        require(journal.entries.len() >= machine.api_now().events, "the journal lacks an event that it had taken")?;
        let is_said = journal.entries.last().is_some_and(|last| last.event == Event::Repaired);
        require(!is_said || drift(machine, &entry).is_empty(), "the journal says that it is repaired")?;
        let mut daemon = Daemon::start(machine, &entry, None).map_err(|failure| failure.to_string())?.0;
        daemon.run()?;
        require(drift(machine, &entry).is_empty(), "it is not repaired")?;
        let Observed::Installed(found) = daemon.observed() else { return Err("nothing is installed".to_owned()) };
        require(found.profile.is_some(), "the manifest is gone")?;
        require(machine.api_now().accepted.len() == 1, "a request was spent")
    };
    let unneeded = check("repair", &entry, &before, holds);
    assert_eq!(unneeded, [], "nothing fails without these");
}

#[test]
fn a_chain_that_was_cut_off_comes_back_from_the_other_files() {
    let machine = installed(&entry());
    let whole = machine.read(&live("fullchain.pem"), 1 << 20).unwrap();
    machine.edit(&live("fullchain.pem"), sets()[0].leaf.to_pem().as_bytes());
    assert_eq!(drift(&machine, &entry()).len(), 1);
    repair(&machine, &entry()).unwrap();
    assert_eq!(machine.read(&live("fullchain.pem"), 1 << 20).unwrap(), whole);
    assert_eq!(drift(&machine, &entry()), Vec::<String>::new());
}

/// As long as the key and the recorded leaf and chain are somewhere, nothing has to be asked for.
#[test]
fn a_fullchain_that_is_gone_or_damaged_comes_back_from_the_other_files() {
    let machine = installed(&entry());
    let whole = machine.read(&live("fullchain.pem"), 1 << 20).unwrap();
    for damage in [None, Some(b"no PEM".to_vec()), Some(sets()[1].answer().into_bytes())] {
        machine.remove_file(&live("fullchain.pem")).unwrap();
        if let Some(bytes) = damage {
            put(&machine, live("fullchain.pem").to_str().unwrap());
            machine.edit(&live("fullchain.pem"), &bytes);
        }
        assert_eq!(drift(&machine, &entry()).len(), 1);
        repair(&machine, &entry()).unwrap();
        assert_eq!(machine.read(&live("fullchain.pem"), 1 << 20).unwrap(), whole);
        assert_eq!(drift(&machine, &entry()), Vec::<String>::new());
    }
}

#[test]
fn owner_group_and_mode_are_the_services_own_where_the_entry_names_none() {
    let machine = installed(&entry());
    let own = (identity().uid, identity().gid);
    for perms in [(0o600, own.0 + 1, own.1), (0o600, own.0, own.1 + 1), (0o640, own.0, own.1)] {
        machine.own(&live("privkey.pem"), perms);
        assert_eq!(drift(&machine, &entry()).len(), 1, "{perms:?}");
        repair(&machine, &entry()).unwrap();
        let stat = machine.stat(&live("privkey.pem")).unwrap();
        assert_eq!((stat.mode, stat.uid, stat.gid), (0o600, own.0, own.1));
        assert_eq!(drift(&machine, &entry()), Vec::<String>::new());
    }
}

#[test]
fn a_format_that_is_added_is_written_and_one_that_is_removed_is_let_be() {
    let machine = installed(&entry());
    let with = |formats: &[Format]| {
        let mut entry = entry();
        entry.formats = formats.to_vec();
        entry
    };
    let more = with(&[Format::Bundle, Format::Der]);
    assert_eq!(drift(&machine, &more), [format!("{} is not written yet", live("cert.der").display())]);
    repair(&machine, &more).unwrap();
    assert_eq!(drift(&machine, &more), Vec::<String>::new());
    assert_eq!(machine.read(&live("cert.der"), 1 << 20).unwrap(), sets()[0].leaf.der());
    let fewer = with(&[]);
    machine.edit(&live("bundle.pem"), b"somebody's edit");
    assert_eq!(drift(&machine, &fewer), Vec::<String>::new());
}

#[test]
fn a_bundle_alone_is_adopted() {
    let files = FixedFiles { bundle: Some("/etc/tls/www.pem".into()), ..FixedFiles::default() };
    let entry = Entry { files: files.into(), ..entry() };
    let machine = Machine::with_folders(&["/var/lib", "/etc/tls"]);
    put(&machine, "/etc/tls/www.pem");
    assert!(matches!(observe(&machine, &layout(), &entry), Observed::Damaged(_)));
    let bundle = sets()[1].files(&entry).into_iter().find(|file| file.name == BUNDLE).unwrap();
    machine.edit(Path::new("/etc/tls/www.pem"), &bundle.bytes);
    let Observed::Installed(found) = observe(&machine, &layout(), &entry) else { panic!("it is not adopted") };
    assert_eq!((found.fingerprint, found.differs), (sets()[1].facts.fingerprint, None));
}

#[test]
fn a_new_file_has_the_label_of_the_one_that_it_replaces() {
    let machine = installed(&with_copies());
    let key = Path::new("/etc/keys/www.key");
    machine.label(key, Some("system_u:object_r:cert_t:s0"));
    machine.edit(key, b"somebody's edit");
    repair(&machine, &with_copies()).unwrap();
    assert_eq!(machine.label(key, None).as_deref(), Some("system_u:object_r:cert_t:s0"));
    assert_eq!(drift(&machine, &with_copies()), Vec::<String>::new());
}

#[test]
fn what_a_crash_left_beside_a_target_is_swept_and_what_others_stage_is_not() {
    let machine = installed(&with_copies());
    let key = Path::new("/etc/keys/www.key");
    let (own, other) = (replace::beside(key), replace::beside(Path::new("/etc/keys/other.key")));
    [&own, &other].into_iter().for_each(|path| put(&machine, path.to_str().unwrap()));
    machine.edit(key, b"somebody's edit");
    repair(&machine, &with_copies()).unwrap();
    assert!(machine.stat(&own).is_err() && machine.stat(&other).is_ok());
}

#[test]
fn a_target_is_refused_for_each_reason() {
    #[track_caller]
    fn check(change: impl FnOnce(&Machine, &mut PathBuf), expected: &str) {
        check_as(&identity(), change, expected);
    }
    #[track_caller]
    fn check_as(identity: &ServiceIdentity, change: impl FnOnce(&Machine, &mut PathBuf), expected: &str) {
        let machine = Machine::with_folders(&["/var/lib/renewd", "/etc/keys/www"]);
        let mut target = PathBuf::from("/etc/keys/www/a.key");
        change(&machine, &mut target);
        let refused = targets::check_target(&machine, identity, &target).err();
        let shown = refused.map_or("none".to_owned(), |failure| {
            assert_eq!(failure.class, FailureClass::TargetRefused);
            failure.message.to_string()
        });
        assert!(shown.ends_with(expected), "{shown}");
    }
    let own = |path: &'static str, perms| move |machine: &Machine, _: &mut PathBuf| machine.own(Path::new(path), perms);
    check(|_, _| {}, "none");
    check(|machine, target| put(machine, target.to_str().unwrap()), "none");
    check(
        |machine, target| machine.symlink(Path::new("/etc/shadow"), target).unwrap(),
        "it is a symlink; remove it, or name what it points at",
    );
    check(|machine, target| machine.make_dir(target, 0o755).unwrap(), "it is not a regular file; remove it");
    check(
        |_, target| *target = "/var/lib/renewd/a.key".into(),
        "it is in renewd's own folder /var/lib/renewd; choose a path outside it",
    );
    check(own("/etc", (0o757, 0, 0)), "everybody may write to /etc above it; chmod o-w /etc");
    check(own("/etc", (0o1777, 0, 0)), "everybody may write to /etc above it; choose a path elsewhere");
    check(own("/etc/keys", (0o775, 0, 4242)), "group 4242 may write to /etc/keys above it; chmod g-w /etc/keys");
    check(own("/etc/keys", (0o775, 0, 0)), "none");
    let held = |path: &'static str, hold| {
        move |machine: &Machine, target: &mut PathBuf| {
            put(machine, target.to_str().unwrap());
            machine.hold(Path::new(path), Some(hold));
        }
    };
    check(held("/etc/keys/www/a.key", Hold::Immutable), "run: chattr -i /etc/keys/www/a.key");
    check(held("/etc/keys/www/a.key", Hold::AppendOnly), "run: chattr -a /etc/keys/www/a.key");
    check(held("/etc/keys/www", Hold::AppendOnly), "run: chattr -a /etc/keys/www");
    check(held("/etc/keys", Hold::Immutable), "none");
    let sticky = |target_of: u32| {
        move |machine: &Machine, target: &mut PathBuf| {
            put(machine, target.to_str().unwrap());
            machine.own(target, (0o600, target_of, 0));
            machine.own(Path::new("/etc/keys/www"), (0o1775, 0, 0));
        }
    };
    // As root, who may replace any file, this is no obstacle.
    let bound = ServiceIdentity { uid: 4244, ..identity() };
    check_as(&bound, sticky(4244), "none");
    check_as(&bound, sticky(0), "user 4244 cannot replace it; run: chown 4244 /etc/keys/www/a.key");
    check_as(&ServiceIdentity { uid: 0, ..identity() }, sticky(4242), "none");
    check(
        own("/etc/keys/www", (0o755, 4242, 0)),
        "/etc/keys/www above it belongs to user 4242, not to root or the service; chown root /etc/keys/www",
    );
    check(
        |machine, target| {
            machine.symlink(Path::new("/etc/keys/www"), Path::new("/etc/link")).unwrap();
            *target = "/etc/link/a.key".into();
        },
        "/etc/link above it is a symlink; write the path that it points at",
    );
}

#[test]
fn a_target_is_judged_again_before_each_copy() {
    let machine = installed(&with_copies());
    let key = Path::new("/etc/keys/www.key");
    machine.remove_file(key).unwrap();
    machine.symlink(Path::new("/etc/tls/www.pem"), key).unwrap();
    assert_eq!(drift(&machine, &with_copies()), ["/etc/keys/www.key: it is not a regular file"]);
    assert_eq!(repair(&machine, &with_copies()).err().map(|failure| failure.class), Some(FailureClass::TargetRefused));
    assert_eq!(machine.read_link(key).unwrap(), Path::new("/etc/tls/www.pem"));
}

/// Every folder that an install writes to, on a device of its own that is full: the sync of the file is what tells.
#[test]
fn a_full_disk_is_found_in_every_folder_before_anything_is_asked_for() {
    let machine = installed(&with_copies());
    let room = || targets::check_room(&machine, &layout(), &identity(), &with_copies());
    for folder in
        ["/var/lib/renewd", "/var/lib/renewd/pending/www", "/var/lib/renewd/certs/www", "/etc/keys", "/etc/tls"]
    {
        machine.fill(Some(Path::new(folder)));
        let failure = room().err().unwrap();
        assert_eq!(failure.class, FailureClass::DiskFull);
        assert!(failure.message.as_str().contains(&format!("in {folder}:")), "{failure}");
        machine.fill(None);
        let before = machine.all();
        room().unwrap();
        assert_eq!(machine.all(), before, "nothing is left");
    }
    machine.fill(Some(Path::new("/var/lib/renewd")));
    let sync = Sync { what: "file var/lib/renewd/staged".to_owned(), of_earlier_life: false };
    machine.ignore(Some(Ignored::Like(sync)));
    assert!(room().is_ok(), "without the sync it is not found");
}

/// What is at the fixed paths, but for what was staged.
fn at_targets(machine: &Machine) -> Vec<(PathBuf, Vec<u8>)> {
    let all = machine.all().into_iter().filter(|(path, _)| path.starts_with("/etc"));
    all.map(|(path, (_, content))| (path, content.to_vec())).collect()
}

/// The second rename of several fails by a rule that nothing tells of before: on file systems that swap names, and on
/// those that only know second names.
#[test]
fn the_set_at_fixed_paths_is_put_back_whole_where_one_file_cannot_be_replaced() {
    for (swaps, refusing) in [true, false].into_iter().flat_map(|swaps| {
        ["/etc/keys/www.key", "/etc/tls/www.crt", "/etc/tls/www.pem", "/etc/tls/www.fullchain.crt"]
            .map(|refusing| (swaps, refusing))
    }) {
        let entry = with_copies();
        let machine = installed(&entry);
        if !swaps {
            machine.without_exchange();
        }
        let before = at_targets(&machine);
        machine.hold(Path::new(refusing), None);
        let targets = targets::targets(&entry).unwrap();
        let copy = || targets::copy(&machine, &identity(), &targets, &sets()[1].files(&entry));
        let failure = copy().err().unwrap();
        assert!(failure.message.as_str().starts_with(&format!("cannot replace {refusing}")), "{failure}");
        assert_eq!(at_targets(&machine), before, "{refusing}: the old set is whole, and nothing else is left");
        let room = targets::check_room(&machine, &layout(), &identity(), &entry).err();
        assert!(room.is_some_and(|failure| failure.message.as_str().contains(refusing)), "found before it is spent");
        machine.release();
        copy().unwrap();
        let after = at_targets(&machine);
        assert_eq!(after.len(), before.len(), "the old files are gone");
        assert!(
            after.iter().zip(&before).all(|(new, old)| new.1 != old.1 || new.1.is_empty()),
            "all are the new set's"
        );
    }
}

#[test]
fn what_had_no_name_before_is_removed_again() {
    let entry = with_copies();
    let machine = installed(&entry);
    machine.remove_file(Path::new("/etc/keys/www.key")).unwrap();
    let before = at_targets(&machine);
    machine.hold(Path::new("/etc/tls/www.pem"), None);
    let targets = targets::targets(&entry).unwrap();
    targets::copy(&machine, &identity(), &targets, &sets()[1].files(&entry)).unwrap_err();
    assert_eq!(at_targets(&machine), before);
}
