//! What the readers' tests share: a host of a few files, and mentions in a line each.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::super::mention::{Listen, Mention, Side};
use super::super::reading::{Note, Reading};
use super::{Running, find};

/// A process with a command line.
pub(super) fn running(program: &str, command: &str) -> Running {
    let arguments = command.split(' ').map(str::to_owned).collect();
    Running { pid: 7, program: program.to_owned(), arguments, directory: None }
}

/// A host with these files; `->` begins the target of a link, and a name with a slash at its end is a folder.
#[expect(clippy::disallowed_methods, reason = "what a test writes need not be durable")]
pub(super) fn host(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join(name.trim_start_matches('/'));
        if name.ends_with('/') {
            fs::create_dir_all(&path).unwrap();
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.strip_prefix("->") {
            Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            None => fs::write(path, text).unwrap(),
        }
    }
    root
}

/// Reads a host's files, and compares what they mention, and what is noted.
#[track_caller]
pub(super) fn check(files: &[(&str, &str)], running: &[Running], mentions: &[&str], notes: &[&str]) {
    let root = host(files);
    let mut reading = Reading::new(root.path());
    let found: Vec<String> = find(&mut reading, running).iter().map(line).collect();
    assert_eq!(found, mentions);
    assert_eq!(reading.notes().iter().map(note).collect::<Vec<_>>(), notes);
}

/// A mention in a line.
fn line(mention: &Mention) -> String {
    let mut shown = format!("{}:{} {}", mention.file.display(), mention.line, mention.certificate.display());
    for (word, path) in [("key", &mention.key), ("chain", &mention.chain)] {
        if let Some(path) = path {
            shown += &format!(" {word}={}", path.display());
        }
    }
    if let Some(password) = &mention.password {
        shown += &format!(" password={}", *password.0);
    }
    if mention.side == Side::Client {
        shown += " client";
    }
    for (before, words) in [("at", mention.listens.iter().map(listen).collect()), ("for", mention.names.clone())] {
        if !words.is_empty() {
            shown += &format!(" {before} {}", words.join(","));
        }
    }
    shown
}

fn listen(listen: &Listen) -> String {
    let address = listen.address.map_or("*".to_owned(), |address| address.to_string());
    let starttls = listen.starttls.map_or(String::new(), |starttls| format!("/{starttls:?}").to_lowercase());
    format!("{address}:{}{starttls}", listen.port)
}

fn note(note: &Note) -> String {
    let line = note.line.map_or(String::new(), |line| format!(":{line}"));
    format!("{}{line}: {}", note.file.display(), note.what)
}

/// Where each server's configuration is, and a piece of text with most of what its reader knows.
const PLACES: [(&str, &str); 13] = [
    ("/etc/nginx/nginx.conf", super::nginx::tests::SAMPLE),
    ("/etc/apache2/apache2.conf", super::apache::tests::SAMPLE),
    ("/etc/haproxy/haproxy.cfg", super::haproxy::tests::SAMPLE),
    ("/etc/postfix/main.cf", super::postfix::tests::SAMPLE),
    ("/etc/postgresql/15/main/postgresql.conf", super::postgresql::tests::SAMPLE),
    ("/etc/dovecot/dovecot.conf", super::dovecot::tests::SAMPLE),
    ("/etc/mysql/my.cnf", super::mysql::tests::SAMPLE),
    ("/etc/stunnel/a.conf", super::stunnel::tests::SAMPLE),
    ("/etc/redis/redis.conf", super::redis::tests::SAMPLE),
    ("/etc/ldap/slapd.conf", super::openldap::tests::SAMPLE),
    ("/etc/tomcat/server.xml", super::tomcat::tests::SAMPLE),
    ("/etc/lighttpd/lighttpd.conf", super::lighttpd::tests::SAMPLE),
    ("/etc/exim4/exim4.conf", super::exim::tests::SAMPLE),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_a_reader_panic_or_hang(text in "(?s)[ -~\\n\\t{}\\[\\]$()\"'#;=<>\\\\]{0,400}", noise in any::<String>()) {
        for text in [text, noise] {
            let files = PLACES.map(|(path, _)| (path, text.as_str()));
            let root = host(&files);
            find(&mut Reading::new(root.path()), &[]);
        }
    }

    #[test]
    fn no_change_of_a_real_text_makes_a_reader_panic_or_hang(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..6_usize), 1..8),
    ) {
        let texts = PLACES.map(|(path, text)| {
            let mut text: Vec<char> = text.chars().collect();
            for (at, length, what) in &changes {
                let from = at.index(text.len() + 1);
                let to = text.len().min(from + length.index(12));
                let piece = ["", "{", "}", "\"", "\\", "${"][*what];
                text.splice(from..to, piece.chars());
            }
            (path, text.into_iter().collect::<String>())
        });
        let files: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let root = host(&files);
        find(&mut Reading::new(root.path()), &[]);
    }
}

#[test]
fn a_host_without_servers_has_nothing_and_nothing_to_say() {
    check(&[("/etc/hosts", "")], &[], &[], &[]);
    find(&mut Reading::new(Path::new("/nonexistent")), &[]);
}
