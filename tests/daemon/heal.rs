//! `renewd heal` after a crash at each step of an install: the state directory is put back to what each crash leaves.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::files::Targets;
use crate::host::Host;
use crate::simulator::{Issuance, ProfileSpec};

/// A host whose second certificate was issued and installed, with copies of its folders from before and after.
struct Crashed {
    host: Host,
    targets: Targets,
    /// The journal up to the event that says that TLM issued.
    journal: String,
    /// The serial number that a healed host has.
    serial: String,
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success(), "{}", from.display());
}

impl Crashed {
    fn new() -> Self {
        let issuance = Issuance::Pending { approve_after: None };
        let (host, targets) = (Host::new(ProfileSpec { issuance, ..ProfileSpec::default() }), Targets::new());
        host.configure("", "");
        host.write("hook", "#!/bin/sh\necho ran >> \"$0.log\"\n");
        let hook = format!("hooks = [\"note\"]\n{}", targets.entry());
        let command = format!("\n[hook.note]\ncommand = [\"/bin/sh\", {:?}]\n", host.path("hook"));
        host.entry("www", &format!("{hook}{command}"));
        for step in [&["once"][..], &["renew", "www"]] {
            host.says(step);
            copy(&host.path("state/pending"), &host.path(&format!("pending-{}", step[0])));
            copy(&targets.path(""), &host.path(&format!("targets-{}", step[0])));
            assert!(host.simulator.approve(&host.simulator.pending().pop().unwrap()));
            let said = host.says(&["once", "--wait", "60s"]);
            assert_eq!(said.code, 0, "{}", said.err);
        }
        let journal = host.read(&host.path("state/journal"));
        let cut = journal.rfind("\"installed\"").or_else(|| journal.rfind("Installed")).unwrap();
        let cut = journal[..cut].rfind('\n').unwrap() + 1;
        let serial = host.live_serial("www");
        copy(&host.path("state"), &host.path("state-after"));
        copy(&targets.path(""), &host.path("targets-after"));
        Self { journal: journal[..cut].to_owned(), host, targets, serial }
    }

    fn home(&self) -> PathBuf {
        self.host.path("state/certs/www")
    }

    /// Puts the host back to where the new generation has its name, and nothing else of the install happened.
    fn rewind(&self) {
        fs::remove_dir_all(self.host.path("state")).unwrap();
        copy(&self.host.path("state-after"), &self.host.path("state"));
        fs::remove_dir_all(self.host.path("state/pending")).unwrap();
        copy(&self.host.path("pending-renew"), &self.host.path("state/pending"));
        let attempt = fs::read_dir(self.host.path("state/pending/www")).unwrap().next().unwrap().unwrap().path();
        fs::copy(self.home().join("2/fullchain.pem"), attempt.join("answer.pem")).unwrap();
        fs::write(self.host.path("state/journal"), &self.journal).unwrap();
        self.point("1");
        for name in ["key", "bundle", "fullchain", "cert", "chain"] {
            self.put(name, "targets-renew");
        }
        drop(fs::remove_file(self.host.path("hook.log")));
    }

    fn point(&self, generation: &str) {
        drop(fs::remove_file(self.home().join("live")));
        symlink(generation, self.home().join("live")).unwrap();
    }

    fn put(&self, name: &str, from: &str) {
        let file = format!("{name}.pem");
        fs::copy(self.host.path(from).join(&file), self.targets.path(&file)).unwrap();
    }

    /// Heals, and asks nobody.
    #[track_caller]
    fn check(&self, crash: &str) {
        let asked = self.host.simulator.requests().len();
        let said = self.host.says(&["heal"]);
        assert_eq!(said.code, 0, "{crash}: {}{}", said.out, said.err);
        assert!(said.out.starts_with("www: installed as generation "), "{crash}: {}", said.out);
        assert_eq!(self.host.simulator.requests().len(), asked, "{crash}: heal asks nobody");
        self.is_whole(crash);
        assert_eq!(self.host.says(&["heal"]).out, "every installed set is whole\n", "{crash}");
        assert!(!self.host.path("hook.log").exists(), "{crash}: hooks are the daemon's");
    }

    #[track_caller]
    fn is_whole(&self, crash: &str) {
        assert_eq!(self.host.live_serial("www"), self.serial, "{crash}");
        for (target, source) in [("key", "privkey"), ("cert", "cert"), ("fullchain", "fullchain"), ("bundle", "bundle")]
        {
            let live = self.host.read(&self.host.live("www").join(format!("{source}.pem")));
            assert_eq!(self.host.read(&self.targets.path(&format!("{target}.pem"))), live, "{crash}: {target}");
        }
    }
}

#[test]
fn heal_finishes_an_install_from_wherever_it_was_cut_off() {
    let crashed = Crashed::new();

    crashed.rewind();
    fs::rename(crashed.home().join("2"), crashed.home().join(".renewd-0123456789abcdef01234567")).unwrap();
    crashed.check("before the new generation has its name");

    crashed.rewind();
    crashed.check("before the link is switched");

    crashed.rewind();
    fs::remove_file(crashed.home().join("live")).unwrap();
    fs::remove_dir_all(crashed.home().join("1")).unwrap();
    crashed.check("before the first link of all is there");

    crashed.rewind();
    crashed.point("2");
    crashed.check("before anything is copied");

    crashed.rewind();
    crashed.point("2");
    crashed.put("key", "targets-after");
    crashed.check("between key and certificate");

    crashed.rewind();
    crashed.point("2");
    for name in ["key", "bundle", "fullchain", "cert", "chain"] {
        crashed.put(name, "targets-after");
    }
    crashed.check("before the journal knows");
    let said = crashed.host.says(&["once"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(crashed.host.read(&crashed.host.path("hook.log")), "ran\n", "the hook is owed");
    assert_eq!(crashed.host.submissions(), 2);
}

#[test]
fn heal_puts_back_what_was_lost_and_tells_of_what_cannot_be() {
    let (mut host, targets) = (Host::with_www(), Targets::new());
    let said = host.says(&["heal"]);
    assert_eq!((said.code, said.out.as_str()), (0, "every installed set is whole\n"), "{}", said.err);
    assert!(!host.path("state").exists(), "before the first start nothing is made");
    host.entry("www", &targets.entry());
    host.entry("api", "");
    assert_eq!(host.says(&["once"]).code, 0);
    let asked = host.simulator.requests().len();

    fs::remove_file(targets.path("cert.pem")).unwrap();
    let said = host.says(&["heal"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("www: put back: ") && said.out.contains("cert.pem: it is missing"), "{}", said.out);
    assert_eq!(said.out.lines().count(), 1, "{}", said.out);
    assert!(targets.path("cert.pem").exists());

    fs::remove_file(targets.path("key.pem")).unwrap();
    // Either of the two would be enough.
    for name in ["fullchain.pem", "cert.pem"] {
        fs::write(host.live("api").join(name), "no certificate").unwrap();
    }
    let said = host.says(&["heal"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("api: cannot be healed from disk: ") && said.err.contains("fullchain.pem"),
        "{}",
        said.err
    );
    assert!(targets.path("key.pem").exists(), "one holds back no other");
    assert_eq!(host.simulator.requests().len(), asked, "heal asks nobody");

    host.start();
    let said = host.says(&["heal"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains(&format!("renewd is running (pid {}", host.pid())), "{}", said.out);
    assert_eq!(host.end(Signal::TERM), Some(0));
}
