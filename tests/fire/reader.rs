//! A program that uses the certificates and never pauses: it reads through the live link and at fixed paths.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

/// A thread that reads until it is asked.
pub(crate) struct Reader {
    stop: Arc<AtomicBool>,
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

/// How much was read.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) sets: AtomicU64,
    pub(crate) switches: AtomicU64,
}

impl Reader {
    /// Reads the live sets below `certs`, and the files in `fixed`.
    pub(crate) fn start(certs: PathBuf, fixed: PathBuf) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&seen));
        let thread = thread::spawn(move || {
            let mut known = BTreeMap::new();
            while !stopped.load(Ordering::Relaxed) {
                folders(&certs).iter().for_each(|home| read_live(home, &mut known, &counted));
                folders(&fixed).iter().for_each(|file| read_fixed(file, &mut known, &counted));
            }
        });
        Self { stop, seen, thread: Some(thread) }
    }

    /// Stops; fails where it saw anything wrong.
    pub(crate) fn end(mut self) -> Arc<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        assert!(self.thread.take().unwrap().join().is_ok(), "the reader saw something wrong");
        Arc::clone(&self.seen)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It has said what it saw wrong.
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// What was found whole at a path, so that it is parsed once.
type Known = BTreeMap<PathBuf, Vec<u8>>;

fn folders(above: &Path) -> Vec<PathBuf> {
    fs::read_dir(above).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// One look: the link is read once, and then the set that it names.
fn read_live(home: &Path, known: &mut Known, seen: &Seen) {
    let link = home.join("live");
    let generation = match fs::read_link(&link) {
        Ok(generation) => generation,
        Err(error) => {
            let was_there = known.contains_key(home);
            assert!(error.kind() == ErrorKind::NotFound && !was_there, "{}: {error}", link.display());
            return;
        }
    };
    let folder = home.join(&generation);
    let parts = ["privkey.pem", "cert.pem", "chain.pem", "fullchain.pem"].map(|name| fs::read(folder.join(name)));
    seen.sets.fetch_add(1, Ordering::Relaxed);
    let [Ok(key), Ok(cert), Ok(chain), Ok(fullchain)] = parts else {
        let now = fs::read_link(&link).unwrap();
        assert_ne!(now, generation, "{} is live and lacks a file: {parts:?}", folder.display());
        return;
    };
    assert_eq!(fullchain, [cert.as_slice(), chain.as_slice()].concat(), "{}", folder.display());
    check_whole(home, &[key, fullchain].concat(), known, seen);
}

/// A fixed path holds a whole file, and the bundle a pair that belongs together.
fn read_fixed(file: &Path, known: &mut Known, seen: &Seen) {
    let name = file.file_name().unwrap().to_string_lossy();
    if name.starts_with('.') {
        return;
    }
    let Ok(bytes) = fs::read(file) else {
        let was_there = known.contains_key(file);
        assert!(!was_there, "{} is gone", file.display());
        return;
    };
    seen.sets.fetch_add(1, Ordering::Relaxed);
    check_whole(file, &bytes, known, seen);
}

/// A key and a certificate that are there belong together, and nothing is cut off.
fn check_whole(place: &Path, bytes: &[u8], known: &mut Known, seen: &Seen) {
    if known.get(place).is_some_and(|before| before == bytes) {
        return;
    }
    let blocks = pem::parse_many(bytes).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    let text = String::from_utf8_lossy(bytes);
    let begun = text.matches("-----BEGIN").count();
    assert!(
        begun > 0 && begun == blocks.len() && text.ends_with("-----\n"),
        "{}: half a file: {text}",
        place.display()
    );
    let key = blocks.iter().find(|block| block.tag().contains("PRIVATE KEY"));
    let leaf = blocks.iter().find(|block| block.tag() == "CERTIFICATE");
    if let (Some(key), Some(leaf)) = (key, leaf) {
        let key = rcgen::KeyPair::from_pem(&pem::encode(key)).unwrap();
        let (_, leaf) = x509_parser::parse_x509_certificate(leaf.contents()).unwrap();
        let ours = rcgen::PublicKeyData::subject_public_key_info(&key);
        assert_eq!(ours, leaf.public_key().raw, "{}: key and certificate", place.display());
    }
    if known.insert(place.to_owned(), bytes.to_vec()).is_some() {
        seen.switches.fetch_add(1, Ordering::Relaxed);
    }
}
