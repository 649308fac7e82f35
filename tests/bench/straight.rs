//! The system calls by which renewd changes files for one replacement, straight after each other.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::KeyPair;

use crate::cpu_time;

/// What is written for one certificate.
pub(crate) struct Contents {
    key: String,
    csr: String,
    answer: String,
    leaf: String,
    chain: String,
}

impl Contents {
    pub(crate) fn new(key: &KeyPair, csr: &str, texts: &[String]) -> Self {
        let (leaf, chain) = (texts[0].clone(), texts[1].clone());
        Self { key: key.serialize_pem(), csr: csr.to_owned(), answer: texts.concat(), leaf, chain }
    }
}

/// A state directory, and what was used for it.
pub(crate) struct Host {
    dir: PathBuf,
    journal_file: File,
    pub(crate) room: Duration,
    pub(crate) files: Duration,
    pub(crate) journal: Duration,
}

impl Host {
    pub(crate) fn new(dir: &Path) -> Self {
        fs::create_dir(dir).unwrap();
        ["certs", "pending"].iter().for_each(|folder| fs::create_dir(dir.join(folder)).unwrap());
        let journal_file = OpenOptions::new().append(true).create_new(true).open(dir.join("journal")).unwrap();
        let (room, files, journal) = <(Duration, Duration, Duration)>::default();
        Self { dir: dir.to_owned(), journal_file, room, files, journal }
    }

    pub(crate) fn replace(&mut self, name: &str, contents: &Contents) {
        let (certs, pending) = (self.dir.join("certs").join(name), self.dir.join("pending").join(name));
        let attempt = pending.join("1");
        self.files(|| {
            folder(&certs, 0o755, true);
            folder(&pending, 0o700, true);
        });
        let (began, state) = (cpu_time(), self.dir.clone());
        [&*state, &*pending, &*certs].into_iter().for_each(has_room);
        self.room += cpu_time().checked_sub(began).unwrap();
        self.files(|| {
            folder(&attempt, 0o700, true);
            replaced(&attempt, "privkey.pem", &contents.key);
            replaced(&attempt, "request.pem", &contents.csr);
            sync(&attempt);
        });
        self.append(SUBMITTING);
        self.files(|| {
            replaced(&attempt, "answer.pem", &contents.answer);
            sync(&attempt);
        });
        self.append(ISSUED);
        self.files(|| install(&certs, contents));
        self.append(INSTALLED);
        self.files(|| forget(&attempt));
        self.append(FORGOTTEN);
    }

    fn files(&mut self, work: impl FnOnce()) {
        let began = cpu_time();
        work();
        self.files += cpu_time().checked_sub(began).unwrap();
    }

    fn append(&mut self, length: usize) {
        let line = vec![b' '; length];
        let began = cpu_time();
        self.journal_file.write_all(&line).unwrap();
        self.journal_file.sync_all().unwrap();
        self.journal += cpu_time().checked_sub(began).unwrap();
    }
}

fn install(certs: &Path, contents: &Contents) {
    let (staged, full) = (certs.join(".staged"), [&*contents.leaf, &*contents.chain].concat());
    folder(&staged, 0o755, false);
    drop(written(&staged.join("privkey.pem"), 0o600, contents.key.as_bytes(), true));
    for (file, text) in [("fullchain.pem", &full), ("cert.pem", &contents.leaf), ("chain.pem", &contents.chain)] {
        drop(written(&staged.join(file), 0o644, text.as_bytes(), true));
    }
    drop(written(&staged.join("manifest.json"), 0o600, &[b' '; MANIFEST], false));
    sync(&staged);
    fs::rename(&staged, certs.join("1")).unwrap();
    sync(certs);
    symlink("1", certs.join(".live")).unwrap();
    fs::rename(certs.join(".live"), certs.join("live")).unwrap();
    sync(certs);
}

fn forget(attempt: &Path) {
    let key = attempt.join("privkey.pem");
    let mut file = OpenOptions::new().write(true).open(&key).unwrap();
    let length = usize::try_from(file.metadata().unwrap().size()).unwrap();
    file.write_all(&vec![0; length]).unwrap();
    file.sync_data().unwrap();
    drop(file);
    [key, attempt.join("request.pem"), attempt.join("answer.pem")]
        .iter()
        .for_each(|file| fs::remove_file(file).unwrap());
    fs::remove_dir(attempt).unwrap();
}

fn has_room(folder: &Path) {
    let (first, second) = (folder.join(".room-1"), folder.join(".room-2"));
    drop(written(&first, 0o600, &[0; ROOM], false));
    fs::rename(&first, &second).unwrap();
    fs::remove_file(second).unwrap();
}

fn folder(path: &Path, mode: u32, is_synced: bool) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if is_synced {
        sync(path.parent().unwrap());
    }
}

fn replaced(folder: &Path, name: &str, text: &str) {
    let staged = folder.join(".staged");
    drop(written(&staged, 0o600, text.as_bytes(), false));
    fs::rename(staged, folder.join(name)).unwrap();
}

fn written(path: &Path, mode: u32, bytes: &[u8], has_owner: bool) -> File {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
    if has_owner {
        let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        fchown(&file, Some(user), Some(group)).unwrap();
    }
    file.write_all(bytes).unwrap();
    file.sync_all().unwrap();
    file
}

fn sync(folder: &Path) {
    File::open(folder).unwrap().sync_all().unwrap();
}

/// What shows that there is room for a set.
const ROOM: usize = 65_536;
const MANIFEST: usize = 1676;
/// The lines of the journal: the intent, that it was issued, that it was installed, that its key was forgotten.
const SUBMITTING: usize = 450;
const ISSUED: usize = 130;
const INSTALLED: usize = 266;
const FORGOTTEN: usize = 86;
