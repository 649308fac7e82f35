//! Which credential files are taken, and which are refused with what command to run.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use renewd::api::credentials::CredentialFiles;
use tempfile::TempDir;

/// A folder for credential files, read as by a user who owns them.
struct Folder {
    dir: TempDir,
    files: CredentialFiles,
}

fn folder() -> Folder {
    let dir = tempfile::tempdir().unwrap();
    let owner = fs::metadata(dir.path()).unwrap();
    // As a service that is not root, whoever runs the test.
    let user = if owner.uid() == 0 { 4711 } else { owner.uid() };
    let default_key = dir.path().join("default");
    let files = CredentialFiles { user, group: owner.gid(), systemd: None, default_key, held: None, is_sealed: false };
    Folder { dir, files }
}

impl Folder {
    fn write(&self, name: &str, content: &[u8], mode: u32) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn refusal(&self, path: &Path) -> String {
        self.files.api_keys(&[path.to_owned()]).unwrap_err().to_string()
    }
}

#[test]
fn a_key_is_one_trimmed_line() {
    let folder = folder();
    #[track_caller]
    fn taken(folder: &Folder, content: &str) {
        let path = folder.write("key", content.as_bytes(), 0o600);
        let keys = folder.files.api_keys(std::slice::from_ref(&path)).unwrap();
        assert_eq!(keys[0].name(), path.to_str().unwrap());
    }
    taken(&folder, "abc_123");
    taken(&folder, "abc_123\n");
    taken(&folder, "abc_123\r\n");
    #[track_caller]
    fn refused(folder: &Folder, content: &[u8], expected: &str) {
        let message = folder.refusal(&folder.write("key", content, 0o600));
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains("abc"), "{message}");
    }
    refused(&folder, b"", "is empty");
    refused(&folder, b"\n", "is empty");
    refused(&folder, b"abc\nabd\n", "has several lines");
    refused(&folder, b"abc abd", "holds blanks or characters that are not ASCII");
    refused(&folder, "abcé".as_bytes(), "holds blanks or characters that are not ASCII");
    refused(&folder, b"abc\x00", "holds blanks or characters that are not ASCII");
    refused(&folder, b"abc\xff", "is not text");
    refused(&folder, &[b'a'; 4097], "is larger than 4096 bytes");
}

#[test]
fn a_file_that_others_can_open_is_refused_with_the_command() {
    let mut folder = folder();
    let path = folder.write("key", b"abc", 0o640);
    assert!(folder.files.api_keys(std::slice::from_ref(&path)).is_ok(), "the service's own group may read");
    for mode in [0o604, 0o644, 0o602, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let message = folder.refusal(&path);
        assert!(message.contains(&format!("by everybody (mode {mode:04o}); run: chmod 06")), "{message}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let owner = fs::metadata(&path).unwrap();
    folder.files.group = owner.gid() + 1;
    folder.files.user = owner.uid() + 1;
    let message = folder.refusal(&path);
    let command = format!("run: chgrp {} {} && chmod 0640 {}", folder.files.group, path.display(), path.display());
    assert!(message.contains("a group that is not the service's own (mode 0640)"), "{message}");
    assert!(message.ends_with(&command), "{message}");
    folder.files.user = owner.uid();
    assert!(folder.refusal(&path).ends_with(&format!("run: chmod 0600 {}", path.display())));
}

#[test]
fn roots_key_is_for_root_alone() {
    let mut folder = folder();
    folder.files.user = 0;
    let path = folder.write("key", b"abc", 0o640);
    assert!(folder.refusal(&path).contains("a group that is not the service's own"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(folder.files.api_keys(&[path]).is_ok());
}

#[test]
fn a_key_is_looked_for_in_order() {
    let mut folder = folder();
    let message = folder.files.api_keys(&[]).unwrap_err().to_string();
    assert!(message.contains("/default: does not exist"), "{message}");
    folder.write("default", b"from-default", 0o600);
    assert_eq!(folder.files.api_keys(&[]).unwrap()[0].name(), "api-key");
    // A systemd credential comes before the default file, so that a bad one is found.
    folder.files.systemd = Some(folder.dir.path().to_owned());
    folder.write("api-key", b"", 0o600);
    let refused = folder.files.api_keys(&[]).unwrap_err().to_string();
    assert!(refused.contains("/default: is empty"), "the message names what the operator edits: {refused}");
    let named = [folder.write("a", b"abc", 0o600), folder.write("b", b"abd", 0o600)];
    assert_eq!(folder.files.api_keys(&named).unwrap().len(), 2);
}

#[test]
fn systemds_own_modes_are_taken() {
    let mut folder = folder();
    let path = folder.write("api-key", b"abc", 0o440);
    let owner = fs::metadata(&path).unwrap();
    folder.files.group = owner.gid() + 1;
    assert!(folder.files.api_keys(std::slice::from_ref(&path)).is_err());
    folder.files.systemd = Some(folder.dir.path().to_owned());
    // systemd's credentials belong to root; only a test run by root can make such a file.
    assert_eq!(folder.files.api_keys(&[]).is_ok(), owner.uid() == 0);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    assert!(folder.files.api_keys(&[]).is_err(), "not even there may everybody read");
}

#[test]
fn only_a_regular_file_is_read() {
    let folder = folder();
    assert!(folder.refusal(folder.dir.path()).contains("is not a regular file"));
    let pipe = folder.dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(folder.refusal(&pipe).contains("is not a regular file"), "and a pipe does not block");
}

#[test]
fn an_identity_and_a_proxy_password() {
    let folder = folder();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
    let whole = folder.write("id", format!("{}{}", key.serialize_pem(), certificate.pem()).as_bytes(), 0o600);
    assert_eq!(folder.files.client_identity(&whole).unwrap().name(), whole.to_str().unwrap());
    let half = folder.write("half", certificate.pem().as_bytes(), 0o600);
    assert!(folder.files.client_identity(&half).unwrap_err().to_string().contains("needs a private key"));
    let open = folder.write("open", key.serialize_pem().as_bytes(), 0o604);
    assert!(folder.files.client_identity(&open).unwrap_err().to_string().contains("chmod"));
    for good in ["user:pass:word\n", "user:"] {
        assert!(folder.files.proxy_credentials(&folder.write("proxy", good.as_bytes(), 0o600)).is_ok(), "{good}");
    }
    for bad in ["", "user", ":password", "user:pass\nword"] {
        let refused = folder.files.proxy_credentials(&folder.write("proxy", bad.as_bytes(), 0o600)).unwrap_err();
        assert!(refused.to_string().ends_with("needs one line `user:password`"), "{bad}");
    }
}

/// systemd reads it as root, whatever its mode.
#[test]
fn the_source_of_a_credential_is_judged_too() {
    let mut folder = folder();
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("api-key");
    fs::write(&copy, "abc").unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o400)).unwrap();
    folder.files.systemd = Some(copies.path().to_owned());
    let source = folder.write("default", b"abc", 0o644);
    fs::set_permissions(folder.dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(folder.files.api_keys(&[]).is_ok(), "nobody else gets through the folder");
    fs::set_permissions(folder.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let expected = format!("{0}: may be opened by everybody (mode 0644); run: chmod 0600 {0}", source.display());
    assert_eq!(folder.files.api_keys(&[]).unwrap_err().to_string(), expected);
    assert_eq!(folder.files.exposed(&[], true).unwrap().to_string(), expected);
    assert_eq!(folder.files.exposed(&[], false), None, "another key is used");
    let held = folder.files.clone().holding();
    assert_eq!(held.api_keys(&[]).unwrap_err().to_string(), expected, "nor does root read it for the service");
    fs::set_permissions(&source, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(folder.files.api_keys(&[]).is_ok() && folder.files.exposed(&[], true).is_none());
    assert_eq!(folder.files.holding().api_keys(&[]).unwrap()[0].name(), "api-key");
}

#[test]
fn a_bad_copy_is_told_by_its_source() {
    let mut folder = folder();
    let copies = tempfile::tempdir().unwrap();
    folder.files.systemd = Some(copies.path().to_owned());
    let copy = copies.path().join("api-key");
    let refusal = |folder: &Folder, content: &str| {
        fs::write(&copy, content).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
        folder.files.api_keys(&[]).unwrap_err().to_string()
    };
    let (source, two) = (folder.dir.path().join("default"), "abc\nabd\n");
    assert_eq!(refusal(&folder, "\n"), format!("{}: does not exist; it must hold the API key", source.display()));
    let other = refusal(&folder, two);
    assert!(other.starts_with(&format!("{}: has several lines", copy.display())), "its source is another: {other}");
    folder.write("default", two.as_bytes(), 0o600);
    assert!(refusal(&folder, two).starts_with(&format!("{}: has several lines", source.display())));
    assert!(refusal(&folder, "\n").starts_with(&format!("{}: is empty", source.display())));
}
