//! The inventory when its files or its directory are not as they should be: what was in force stays so, over restarts.

use std::fs;

use rustix::process::Signal;

use renewd::store::lines;

use crate::host::Host;

#[test]
fn a_refused_file_stays_in_force_across_restarts_and_a_removed_one_does_not() {
    let mut host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    host.write("certs.d/www.toml", "nonsense");
    host.start();
    assert_eq!(host.certificate("www")["state"], "valid");
    let status = host.status();
    assert_eq!(status["inventory"][0]["state"], "refused");
    assert_eq!(status["inventory"][0]["certificates"], 1);
    host.end(Signal::TERM);
    assert_eq!(host.certificate("www")["state"], "valid", "with the daemon down as well");
    let said = host.says(&["once"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("certs.d/www.toml"), "{}", said.err);
    assert_eq!(host.says(&["renew", "www"]).code, 0, "it is managed as ever");
    assert_eq!(host.submissions(), 2);

    fs::remove_file(host.path("certs.d/www.toml")).unwrap();
    assert_eq!(host.says(&["once"]).code, 0);
    let let_go = || host.read(&host.path("state/journal")).matches("let-go").count();
    assert_eq!(let_go(), 1, "the journal tells that it was let go while the daemon was down");
    host.write("certs.d/www.toml", "nonsense");
    assert_eq!(host.says(&["once"]).code, 1);
    assert_eq!(let_go(), 1);
    assert!(host.certificate("www").is_null(), "it was let go in between");
}

#[test]
fn a_name_stays_with_its_file_across_restarts() {
    let host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    let text = host.read(&host.path("certs.d/www.toml"));
    host.write("certs.d/a.toml", &text);
    let said = host.says(&["once"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("certs.d/a.toml:2:8: the name `www` is taken by certs.d/www.toml line 1"),
        "{}",
        said.err
    );
    let check = host.says(&["check"]);
    assert!(check.err.contains("certs.d/a.toml:2:8"), "check tells what the daemon does: {}", check.err);
}

#[test]
fn a_kept_copy_that_is_damaged_stops_nothing() {
    let host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    for damage in ["", "{", "[]", "{\"certs.d/www.toml\": {\"entries\": 1}}"] {
        host.write("state/inventory", damage);
        assert_eq!(host.says(&["once"]).code, 0, "{damage}");
        assert!(host.read(&host.path("state/inventory")).contains("\"www\""), "it is written anew");
    }
    // What this version does not understand, and what was changed, stays beside it.
    let of_another = lines::encode(&serde_json::json!({"certs.d/www.toml": {"entries": 1}}));
    for damage in ["00000000 {}\n", str::from_utf8(&of_another).unwrap()] {
        host.write("state/inventory", damage);
        let said = host.says(&["once"]);
        assert_eq!(said.code, 0, "{damage}");
        assert!(said.err.contains("a copy is kept as "), "{}", said.err);
        assert!(host.read(&host.path("state/inventory")).contains("\"www\""), "it is written anew");
        let names = fs::read_dir(host.path("state")).unwrap().map(|found| found.unwrap().path());
        let copies: Vec<_> = names.filter(|path| path.to_string_lossy().contains("inventory.damaged-")).collect();
        assert!(copies.iter().any(|copy| host.read(copy) == damage), "{damage}: {copies:?}");
        assert!(!host.says(&["once"]).err.contains("a copy is kept"), "once is enough");
    }
    // One content of a form that is not understood costs that file alone, and what is said to be gone is gone.
    let (kept, www) = (host.read(&host.path("state/inventory")), host.read(&host.path("certs.d/www.toml")));
    let known: serde_json::Value = serde_json::from_slice(lines::decode(kept.as_bytes()).unwrap()).unwrap();
    let mut several = known.as_object().unwrap().clone();
    several.insert("certs.d/a.toml".to_owned(), serde_json::json!({"entries": 1}));
    let gone = lines::encode(&serde_json::json!({"certs.d/www.toml": null}));
    for (more, is_kept) in [(String::new(), true), (String::from_utf8(gone).unwrap(), false)] {
        let several = String::from_utf8(lines::encode(&several)).unwrap();
        host.write("state/inventory", &(several + &more));
        host.write("certs.d/www.toml", "bad");
        assert_eq!(host.says(&["once"]).code, 1);
        assert_eq!(!host.certificate("www").is_null(), is_kept, "{more}");
        host.write("certs.d/www.toml", &www);
        assert_eq!(host.says(&["once"]).code, 0);
    }
    // A change that a loss of power cut off is dropped, and the next one is a line of its own.
    let whole = host.read(&host.path("state/inventory"));
    host.write("state/inventory", &format!("{whole}1a2b3c4d {{\"certs.d/x"));
    host.entry("other", "");
    assert_eq!(host.says(&["once"]).code, 0);
    host.write("certs.d/other.toml", "bad");
    assert_eq!(host.says(&["once"]).code, 1);
    assert!(!host.certificate("other").is_null(), "its last good content was kept, after the line that was cut off");
}

#[test]
fn a_missing_directory_at_the_first_start_is_loud_and_stops_nothing() {
    let mut host = Host::with_www();
    fs::rename(host.path("certs.d"), host.path("away")).unwrap();
    host.start();
    let status = host.status();
    assert_eq!(status["healthy"], false);
    let message = status["problems"][0]["message"].as_str().unwrap();
    assert!(message.contains("the inventory directory cannot be read"), "{message}");
    assert!(message.contains("install -d"), "{message}");
    host.until("the log says so", || {
        host.log().contains("ERROR refused: ").then(|| assert!(host.log().contains("directory cannot be read")))
    });
    assert_eq!(host.says(&["check"]).code, 78);
    fs::rename(host.path("away"), host.path("certs.d")).unwrap();
    host.signal(Signal::HUP);
    host.wait_state("www", "valid");
    assert_eq!(host.status()["healthy"], true);
}

#[test]
fn a_directory_that_goes_away_lets_go_of_nothing() {
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    fs::rename(host.path("certs.d"), host.path("away")).unwrap();
    host.signal(Signal::HUP);
    host.until("it is a problem", || (host.status()["healthy"] == false).then_some(()));
    assert_eq!(host.certificate("www")["state"], "valid");
    host.end(Signal::TERM);
    host.start();
    assert_eq!(host.certificate("www")["state"], "valid", "across a restart");
    assert_eq!(host.status()["healthy"], false);
    std::os::unix::fs::symlink("away", host.path("certs.d")).unwrap();
    host.signal(Signal::HUP);
    host.until("a symlink will do", || (host.status()["healthy"] == true).then_some(()));
    assert_eq!(host.certificate("www")["state"], "valid");
    assert_eq!(host.submissions(), 1);
}

/// One run tells what is wrong with every file, the main one and those of an open directory as well.
#[test]
fn check_tells_all_in_one_run() {
    use std::os::unix::fs::PermissionsExt;
    let host = Host::with_www();
    host.configure("keep_generations = 0\n", "");
    host.entry("a", "seet = \"x\"\n");
    fs::set_permissions(host.path("certs.d"), fs::Permissions::from_mode(0o777)).unwrap();
    let said = host.says(&["check"]);
    assert_eq!(said.code, 78);
    let chmod = format!("run: chmod o-w {}", host.path("certs.d").display());
    for part in ["keep_generations = 0", "certs.d/a.toml:6:1", &chmod, "3 problems"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
}

/// Root can read every file; the service cannot read one that root wrote for itself alone.
#[test]
fn check_by_root_sees_with_the_eyes_of_the_service() {
    use std::os::unix::fs::{PermissionsExt, chown};
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become somebody else");
        return;
    }
    let host = Host::with_www();
    fs::set_permissions(host.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(host.path("state")).unwrap();
    for name in ["state", "renewd.toml", "certs.d"] {
        chown(host.path(name), Some(65534), Some(65534)).unwrap();
    }
    let said = host.says(&["check"]);
    assert_eq!(said.code, 78);
    let file = host.path("certs.d/www.toml");
    let remedy = format!("run: chgrp 65534 {0} && chmod g+r {0}", file.display());
    assert!(said.err.contains(&remedy), "{}", said.err);
}

/// What looks like a drop-in file and is not read is named by check and status, in text and JSON, and hurts nobody.
#[test]
fn files_that_are_not_read_are_named() {
    let host = Host::with_www();
    let text = host.read(&host.path("certs.d/www.toml"));
    fs::remove_file(host.path("certs.d/www.toml")).unwrap();
    fs::create_dir(host.path("certs.d/team-a")).unwrap();
    for name in ["www.conf", "UP.TOML", "team-a/team.toml", "team-a/x.conf", "x.toml ", "README", "old.toml~"] {
        host.write(&format!("certs.d/{name}"), &text);
    }
    let names = format!(
        "UP.TOML, team-a/team.toml, team-a/x.conf, www.conf, \"x.toml \" in {} look",
        host.path("certs.d").display()
    );
    let remedy = "rename each so that it begins with no dot and ends in .toml, directly in";
    let check = host.says(&["check"]);
    assert_eq!(check.code, 0, "{}{}", check.out, check.err);
    let plan = host.says(&["plan"]);
    assert!(!plan.out.contains("CERTIFICATE"), "no table without certificates: {}", plan.out);
    for part in [&names, remedy, "no certificate is in", "renewd profiles --entry ID"] {
        assert!(check.err.contains(part), "{part}: {}", check.err);
        assert!(plan.out.contains(part), "{part}: {}", plan.out);
    }
    let report: serde_json::Value = serde_json::from_str(&host.says(&["check", "--json"]).out).unwrap();
    let codes = |list: &serde_json::Value, state: &str, word: &str| -> Vec<String> {
        let list = list.as_array().unwrap();
        assert!(list.iter().all(|one| one[state] == word), "{list:?}");
        list.iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
    };
    let both = ["inventory-file-unread", "inventory-empty"];
    assert_eq!(
        (report["ok"].as_bool(), codes(&report["findings"], "state", "warning")),
        (Some(true), both.map(str::to_owned).to_vec())
    );
    let status = host.status();
    assert_eq!(
        (status["healthy"].as_bool(), codes(&status["problems"], "severity", "warning")),
        (Some(true), both.map(str::to_owned).to_vec())
    );
    let said = host.says(&["status"]);
    assert!(said.code == 0 && said.out.contains(&names), "{}", said.out);

    host.write("certs.d/www.toml", &text);
    let status = host.status();
    let found = codes(&status["problems"], "severity", "warning");
    assert_eq!(found, ["inventory-file-unread"], "with a certificate it is not empty");
    for name in ["www.conf", "UP.TOML", "team-a/team.toml", "team-a/x.conf", "x.toml "] {
        fs::remove_file(host.path("certs.d").join(name)).unwrap();
    }
    let status = host.status();
    assert!(status["problems"].as_array().unwrap().is_empty(), "{status}");
}
