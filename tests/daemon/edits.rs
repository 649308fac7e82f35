//! The plan against what the next pass does, over edits of every kind: what the plan says is due is asked for, and
//! nothing else but what it could not tell.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::host::Host;
use crate::simulator::ProfileSpec;

const WEB: &str = "[[certificate]]\nname = \"w1\"\ncommon_name = \"w1.example.com\"\n\
                   dns_names = [\"w1.example.com\", \"www.example.com\"]\n\n\
                   [[certificate]]\nname = \"w2\"\ncommon_name = \"w2.example.com\"\n";

/// Five certificates of two profiles, all installed: w1 and w2 by the defaults, n1 by the profile's name, o1 with what it
/// asks for in its own words, x1 of another profile. A third profile was never read.
struct Bed {
    host: Host,
    other: String,
    third: String,
}

/// What the plan said and what was done.
#[derive(Debug, PartialEq)]
struct Told {
    due: BTreeSet<String>,
    unknown: BTreeSet<String>,
    done: BTreeSet<String>,
}

fn named(name: &str) -> ProfileSpec {
    ProfileSpec { name: name.to_owned(), ..ProfileSpec::default() }
}

impl Bed {
    fn new() -> Self {
        let host = Host::new(named("Web servers"));
        let (other, third) = (host.simulator.add_profile(named("Backup")), host.simulator.add_profile(named("Third")));
        let bed = Self { host, other, third };
        bed.defaults("");
        bed.host.write("certs.d/web.toml", WEB);
        bed.host.entry("n1", "profile = \"Web servers\"\n");
        bed.host.entry("o1", "subject = { country = \"CH\" }\nkey = \"ecdsa-p256\"\nrenew_before = \"20d\"\n");
        bed.host.entry("x1", &format!("profile = {:?}\n", bed.other));
        let said = bed.host.says(&["once"]);
        assert_eq!(said.code, 0, "{}", said.err);
        bed
    }

    /// The defaults with more keys; the usual profile where they name none.
    fn defaults(&self, keys: &str) {
        let profile =
            if keys.contains("profile") { String::new() } else { format!("profile = {:?}\n", self.host.profile) };
        self.host.configure(&format!("[defaults]\n{profile}{keys}"), "");
    }

    fn web(&self, from: &str, to: &str) {
        assert!(WEB.contains(from), "{from}");
        self.host.write("certs.d/web.toml", &WEB.replace(from, to));
    }

    /// More keys for w1.
    fn w1(&self, more: &str) {
        self.web("\n\n[[", &format!("\n{more}\n\n[["));
    }

    /// Changes the reading of a profile as it was kept, and the profile at TLM alike.
    fn reading(&self, from: &str, to: &str, change: impl FnOnce(&mut ProfileSpec)) {
        let path = self.host.path("state/profiles.json");
        let kept = fs::read_to_string(&path).unwrap();
        assert!(kept.contains(from), "{from}: {kept}");
        fs::write(&path, kept.replace(from, to)).unwrap();
        self.host.simulator.change_profile(&self.host.profile, change);
    }

    fn plan(&self) -> Value {
        let said = self.host.says(&["plan", "--json"]);
        assert_eq!(said.code, 0, "{}", said.err);
        serde_json::from_str(&said.out).unwrap()
    }

    fn serials(&self) -> BTreeMap<String, Vec<u8>> {
        let folder = self.host.path("state/certs");
        let names = fs::read_dir(folder).unwrap().map(|found| found.unwrap().file_name().into_string().unwrap());
        names.filter_map(|name| Some((name.clone(), fs::read(self.host.live(&name).join("cert.pem")).ok()?))).collect()
    }

    fn told(&self) -> Told {
        let plan = self.plan();
        let planned = plan["certificates"].as_array().unwrap().iter();
        let named = |is_meant: &dyn Fn(&Value) -> bool| {
            let meant = planned.clone().filter(|one| is_meant(one));
            meant.map(|one| one["name"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
        };
        let due = named(&|one| one["due"] == true);
        let unknown = named(&|one| one["reason_code"] == "profile-unknown");
        for one in planned.clone().filter(|one| one["reason_code"] == "profile-unknown") {
            assert!(one["reason"].as_str().unwrap().starts_with("cannot tell: profile never read"), "{one}");
        }
        let before = self.serials();
        self.host.says(&["once"]);
        let done = self.serials().into_iter().filter(|(name, now)| before.get(name) != Some(now));
        Told { due, unknown, done: done.map(|(name, _)| name).collect() }
    }
}

/// After the edit, these are due and done, and of these the plan cannot tell.
#[track_caller]
fn check(what: &str, edit: impl FnOnce(&Bed), due: &[&str], unknown: &[&str]) {
    let bed = Bed::new();
    edit(&bed);
    let told = bed.told();
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!((&told.due, &told.unknown), (&set(due), &set(unknown)), "{what}: {told:?}");
    let is_told = told.due.is_subset(&told.done)
        && told.done.iter().all(|name| due.contains(&name.as_str()) || unknown.contains(&name.as_str()));
    assert!(is_told, "{what}: {told:?}");
}

const ALL: [&str; 5] = ["n1", "o1", "w1", "w2", "x1"];

#[test]
fn edits_of_the_profile_are_planned_as_they_are_done() {
    check("nothing", |_| (), &[], &[]);
    check("another id", |bed| bed.defaults(&format!("profile = {:?}\n", bed.other)), &["w1", "w2"], &[]);
    check("an id never read", |bed| bed.defaults(&format!("profile = {:?}\n", bed.third)), &["w1", "w2"], &[]);
    check("a name known by its id", |bed| bed.defaults("profile = \"Backup\"\n"), &["w1", "w2"], &[]);
    check("a name never read", |bed| bed.defaults("profile = \"Third\"\n"), &[], &["w1", "w2"]);
    check("the same by its name", |bed| bed.defaults("profile = \"Web servers\"\n"), &[], &[]);
    check("one entry by id", |bed| bed.host.entry("n1", &format!("profile = {:?}\n", bed.other)), &["n1"], &[]);
    let rename = |bed: &Bed| bed.host.simulator.change_profile(&bed.host.profile, |one| one.name = "Web".to_owned());
    check("renamed at TLM", rename, &[], &[]);
    check(
        "renamed at TLM and in the entry",
        |bed| {
            rename(bed);
            bed.host.entry("n1", "profile = \"Web\"\n");
        },
        &[],
        &["n1"],
    );
}

#[test]
fn edits_of_what_is_asked_for_are_planned_as_they_are_done() {
    check("a default key", |bed| bed.defaults("key = \"ecdsa-p384\"\n"), &["n1", "w1", "w2", "x1"], &[]);
    let subject = |bed: &Bed| bed.defaults("subject = { organization_name = \"Example AG\" }\n");
    check("a default subject", subject, &ALL, &[]);
    check(
        "a name more",
        |bed| bed.web("\"www.example.com\"", "\"www.example.com\", \"new.example.com\""),
        &["w1"],
        &[],
    );
    check("a name less", |bed| bed.web(", \"www.example.com\"", ""), &["w1"], &[]);
    let swap =
        |bed: &Bed| bed.web("\"w1.example.com\", \"www.example.com\"", "\"www.example.com\", \"w1.example.com\"");
    check("names in another order", swap, &[], &[]);
    check("another common name", |bed| bed.web("common_name = \"w2", "common_name = \"w3"), &["w2"], &[]);
    check("a subject", |bed| bed.w1("subject = { country = \"DE\" }"), &["w1"], &[]);
    check("renamed", |bed| bed.web("name = \"w1\"", "name = \"w9\""), &["w9"], &[]);
    check("a new one", |bed| bed.host.entry("new", ""), &["new"], &[]);
}

#[test]
fn edits_that_ask_for_nothing_new_are_planned_as_such() {
    let hook = "hooks = [\"note\"]\n[hook.note]\ncommand = [\"/bin/true\"]";
    check("hooks", |bed| bed.host.entry("x1", &format!("profile = {:?}\n{hook}\n", bed.other)), &[], &[]);
    check("renew_before", |bed| bed.w1("renew_before = \"59d\""), &[], &[]);
    check("request_method new", |bed| bed.w1("request_method = \"new\""), &[], &[]);
    check("request_method renew", |bed| bed.w1("request_method = \"renew\""), &[], &[]);
    check("a seat", |bed| bed.w1("seat = \"another\""), &[], &[]);
    check("a validity that the profile refuses", |bed| bed.w1("validity = \"30d\""), &[], &[]);
    let move_it =
        |bed: &Bed| fs::rename(bed.host.path("certs.d/web.toml"), bed.host.path("certs.d/moved.toml")).unwrap();
    check("a file that moved", move_it, &[], &[]);
    check("a file that went", |bed| fs::remove_file(bed.host.path("certs.d/n1.toml")).unwrap(), &[], &[]);
    let window = |bed: &Bed| {
        bed.reading("\"renewal_window_days\":30", "\"renewal_window_days\":50", |one| {
            one.renewal_window_days = Some(50)
        });
    };
    check("another window", window, &[], &[]);
    let strict = |bed: &Bed| {
        bed.reading("\"allows_duplicates\":true", "\"allows_duplicates\":false", |one| one.allows_duplicates = false);
    };
    check("no duplicates", strict, &[], &[]);
    let keys = |bed: &Bed| bed.reading("\"ecdsa-p256\",", "", |one| one.key_sizes = vec!["384".to_owned()]);
    check("other key types", keys, &[], &[]);
    let forget = |bed: &Bed| fs::remove_file(bed.host.path("state/profiles.json")).unwrap();
    check("readings that are gone", forget, &[], &["n1"]);
}

/// What failed at the last pass is tried again at the next one, whenever that comes.
#[test]
fn a_reading_that_failed_holds_nothing_back_in_the_plan() {
    let mut bed = Bed::new();
    bed.defaults(&format!("profile = {:?}\n", bed.third));
    bed.host.simulator.stop();
    assert_eq!(bed.host.says(&["once"]).code, 1);
    bed.host.simulator.restart();
    let told = bed.told();
    assert_eq!(told.due, ["w1", "w2"].map(str::to_owned).into(), "{told:?}");
    assert_eq!(told.done, told.due);
}

#[test]
fn a_refused_file_is_named_with_what_is_planned_of_it() {
    let bed = Bed::new();
    bed.w1("seet = \"x\"");
    bed.host.entry("typo", "kye = \"x\"\n");
    let plan = bed.plan();
    let refused: Vec<(&str, Vec<&str>)> = plan["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let names = one["certificates"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            (one["file"].as_str().unwrap(), names)
        })
        .collect();
    assert_eq!(refused, [("certs.d/typo.toml", vec![]), ("certs.d/web.toml", vec!["w1", "w2"])], "{plan:#}");
    assert!(plan["refused"][1]["error"].as_str().unwrap().contains("`seet`"), "{plan:#}");
    let names: Vec<&str> =
        plan["certificates"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ALL, "by their last good content");
    for arguments in [&["plan"][..], &["plan", "--calendar"]] {
        let text = bed.host.says(arguments).out;
        for part in [
            "refused: certs.d/typo.toml:6:1: ",
            "its certificates are not planned",
            "refused: certs.d/web.toml:5:1: ",
            "planned by its last good content: w1, w2",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    let told = bed.told();
    assert!(told.due.is_empty() && told.done.is_empty(), "{told:?}");
}

#[test]
fn what_is_managed_no_longer_is_named() {
    let bed = Bed::new();
    fs::remove_file(bed.host.path("certs.d/n1.toml")).unwrap();
    assert_eq!(bed.plan()["gone"], serde_json::json!(["n1"]));
    for arguments in [&["plan"][..], &["plan", "--calendar"]] {
        let text = bed.host.says(arguments).out;
        assert!(text.contains("\n\nno longer managed: n1; no file of the inventory names it"), "{text}");
    }
}

#[test]
fn a_repair_is_not_due() {
    let bed = Bed::new();
    fs::remove_file(bed.host.live("n1").join("fullchain.pem")).unwrap();
    let plan = bed.plan();
    let repaired = plan["certificates"].as_array().unwrap().iter().find(|one| one["name"] == "n1").unwrap();
    assert_eq!((&repaired["action"], &repaired["due"]), (&"repair".into(), &false.into()), "{plan:#}");
}

#[test]
fn a_window_that_is_a_guess_is_called_one() {
    let bed = Bed::new();
    fs::remove_file(bed.host.path("state/profiles.json")).unwrap();
    let plan = bed.plan();
    let guessed = plan["certificates"].as_array().unwrap().iter().filter(|one| {
        let reason = one["reason"].as_str().unwrap();
        reason.starts_with("not due until") && reason.ends_with("cannot tell whether sooner: profile never read")
    });
    // o1 has a window of its own, and which profile n1 has is not known.
    assert_eq!(guessed.map(|one| one["name"].as_str().unwrap()).collect::<Vec<_>>(), ["w1", "w2", "x1"], "{plan:#}");
}
