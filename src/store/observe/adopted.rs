//! Sets that were at an entry's paths before renewd came. They are judged by their content until the first renewal: nobody
//! says which of the files a server reads, so that each that cannot do its job is told, and the first end counts.

use super::super::in_place::{FileSet, places};
use super::{
    Code, Disk, Entry, FILE_LIMIT, Found, Generation, Installed, Obstacle, Path, Purpose, Remark, ServedChain,
    Zeroizing, certificate_file, ders, installed, key_store, leaf, missing, parsed, read, read_key, read_leaf, served,
    sha256, shared_chains, told, unpinned,
};
use crate::core::name::Digest;
use crate::core::wanted::files::FixedFiles;
use crate::pki::certificate::Certificate;
use crate::pki::key::PrivateKey;
use crate::pki::pkcs12::ReadError;

/// Files that a server may read together, and what they hold.
struct SetFound<'e> {
    place: Option<FileSet<'e>>,
    found: Found,
    chain: ServedChain,
}

/// What is there for `entry`.
pub(super) fn observe(disk: &dyn Disk, entry: &Entry) -> Result<Installed, Obstacle> {
    let mut seen = Vec::new();
    let mut obstacles = Vec::new();
    for place in places(entry) {
        match look(disk, place) {
            Ok(found) => seen.push(found),
            Err(obstacle) => obstacles.push(obstacle),
        }
    }
    let is_absent = obstacles.iter().all(|obstacle| matches!(obstacle, Obstacle::Absent));
    if seen.is_empty() && is_absent {
        for placement in entry.placements() {
            match in_key_store(disk, placement.files) {
                Ok(found) => seen.extend(found),
                Err(obstacle) => obstacles.push(obstacle),
            }
        }
    }
    let mut doubts: Vec<Remark> = Vec::new();
    let in_service = seen.iter().filter_map(|seen| Some((seen.place?, &seen.found.leaf.fingerprint)));
    for (place, leaf) in in_service {
        doubts.extend(refusal(disk, place, entry, *leaf));
        doubts.extend(unpinned(disk, entry, (place.chain.unwrap_or(place.certificate), *leaf), None));
    }
    let by_end =
        |seen: &SetFound<'_>| (seen.chain.ends_at(seen.found.leaf.not_after), seen.chain.issuer.spki.is_none());
    let Some(first) = (0..seen.len()).min_by_key(|at| seen.get(*at).map(by_end)) else {
        return Err(obstacles.into_iter().max_by_key(Obstacle::weight).unwrap_or(Obstacle::Absent));
    };
    let SetFound { mut found, chain, .. } = seen.swap_remove(first);
    doubts.extend(obstacles.iter().filter_map(Obstacle::remark));
    doubts.extend(incomplete(disk, entry, found.leaf.fingerprint));
    for doubt in seen.into_iter().flat_map(|seen| seen.found.doubts).chain(doubts) {
        if !found.doubts.contains(&doubt) {
            found.doubts.push(doubt);
        }
    }
    Ok(installed(entry, Generation(0), found, shared_chains::share(&chain), None, Vec::new()))
}

/// The certificates of a set that is in place and its key, for a set of our own; `None` where there is none that renewd
/// can use.
pub(in super::super) fn parts(
    disk: &dyn Disk,
    entry: &Entry,
    leaf: Digest,
) -> Option<(Certificate, Vec<Certificate>, PrivateKey)> {
    let mut pool = Vec::new();
    let mut key = None;
    for place in places(entry) {
        pool.extend(parsed(&place.certificates().flat_map(|path| ders(disk, path)).collect::<Vec<_>>()));
        let bytes = disk.read(place.key, FILE_LIMIT).ok().map(Zeroizing::new);
        key = key.or_else(|| PrivateKey::from_pem(&bytes?).ok());
    }
    let own = pool.iter().find(|certificate| certificate.fingerprint() == leaf)?.clone();
    key.filter(|key| key.spki() == own.spki()).map(|key| (own, pool, key))
}

fn look<'e>(disk: &dyn Disk, place: FileSet<'e>) -> Result<SetFound<'e>, Obstacle> {
    let (_, mut found) = read_leaf(disk, place.certificate)?;
    let stat = disk.stat(place.key).map_err(|error| missing(place.key, &error))?;
    read_key(disk, (place.key, place.certificate), &mut found, &stat, None)?;
    if found.is_whole && !place.is_pem {
        // It is not meant for OpenSSL.
        found.doubts.retain(|doubt| doubt.code != Code::FileUnjudged);
    }
    let all: Vec<_> = place.certificates().flat_map(|path| ders(disk, path)).collect();
    let (own, above): (Vec<_>, Vec<_>) = all.into_iter().partition(|der| sha256(der) == found.leaf.fingerprint);
    let chain = own.first().map(|leaf| served::in_files(leaf, &parsed(&above))).unwrap_or_default();
    Ok(SetFound { place: Some(place), found, chain })
}

/// The set in a PKCS#12 file, whose key is not decrypted.
fn in_key_store<'e>(disk: &dyn Disk, files: &FixedFiles) -> Result<Option<SetFound<'e>>, Obstacle> {
    let Some(path) = files.pkcs12.as_deref() else { return Ok(None) };
    let bytes = match read(disk, path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(Obstacle::Absent) => return Ok(None),
        Err(obstacle) => return Err(obstacle),
    };
    let shown = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let contents = match key_store::open(disk, files, &bytes) {
        Some(Ok(contents)) => contents,
        Some(Err(error @ ReadError::NotPkcs12)) => return Err(Obstacle::Damaged(shown(&error))),
        Some(Err(error)) => return Err(Obstacle::Unreadable(shown(&error))),
        None => return Err(Obstacle::Unreadable(shown(&"the file with its password cannot be read"))),
    };
    let certificates = contents.certificates;
    let leaf = certificates.iter().find(|certificate| !certificate.is_ca()).or(certificates.first());
    let (Some(own), true) = (leaf, contents.has_key) else {
        return Err(Obstacle::Damaged(shown(&"it does not hold both a certificate and a private key")));
    };
    let above: Vec<_> = certificates.iter().filter(|certificate| *certificate != own).cloned().collect();
    let read = leaf::in_service(own.der()).map_err(|error| Obstacle::Damaged(shown(&told(&error))))?;
    let mut found = Found::of(read);
    let unjudged = shown(&"renewd does not open the private key in it, and cannot tell whose it is");
    found.doubts.push(Remark::new(Code::KeyUnjudged, &unjudged));
    Ok(Some(SetFound { place: None, found, chain: served::served(own, &above) }))
}

/// Why TLS clients refuse files that servers read together, or may.
fn refusal(disk: &dyn Disk, place: FileSet<'_>, entry: &Entry, leaf: Digest) -> Option<Remark> {
    let found: Vec<_> = place.certificates().flat_map(|path| ders(disk, path)).collect();
    let file = place.certificate.display();
    let own = parsed(&found).into_iter().find(|one| one.fingerprint() == leaf)?;
    let above: Vec<_> = parsed(&found).into_iter().filter(|one| one.spki() != own.spki()).collect();
    let facts = leaf::read(&own).ok()?;
    let purpose = Purpose::of(entry.usages.as_deref().unwrap_or_default(), &facts.usages);
    if let Some(why) = served::refusal(&own, &above, purpose) {
        return Some(Remark::new(Code::PathRefused, &format!("TLS clients refuse {file}: {why}")));
    }
    if let Some(chain) = place.chain
        && disk.read(chain, FILE_LIMIT).is_ok_and(|bytes| certificate_file::readable(&bytes).is_empty())
    {
        let message = format!("{} holds no certificate: servers do not load it", chain.display());
        return Some(Remark::new(Code::PathRefused, &message));
    }
    let is_alone = place.holds_chain && found.len() == 1 && !own.is_named_as_issuer_of(&own);
    is_alone.then(|| {
        let issuer = served::served(&own, &[]).issuer.subject;
        let message = format!(
            "{file} holds only the leaf: TLS clients that do not have the certificate of {issuer}, which issued it, \
             refuse it"
        );
        Remark::new(Code::FilesIncomplete, &message)
    })
}

/// The files of the entry that are not there, or hold another certificate.
fn incomplete(disk: &dyn Disk, entry: &Entry, leaf: Digest) -> Vec<Remark> {
    let told = |(key, path): (&str, &Path)| {
        let path_shown = path.display();
        if matches!(disk.stat(path).map_err(|error| missing(path, &error)), Err(Obstacle::Absent)) {
            return Some(format!("{path_shown} does not exist; renewd writes it with the next certificate"));
        }
        let found = ders(disk, path);
        let is_other = !found.is_empty() && !found.iter().any(|der| sha256(der) == leaf);
        let may_be_other = matches!(key, "bundle" | "fullchain" | "certificate" | "pkcs7" | "der");
        (may_be_other && is_other)
            .then(|| format!("{path_shown} holds another certificate than the one that renewd uses"))
    };
    let targets = entry.targets().map(|target| (target.key, target.path.as_path()));
    targets.filter_map(told).map(|message| Remark::new(Code::FilesIncomplete, &message)).collect()
}

impl Obstacle {
    /// What tells most: what cannot be read is no reason to ask for a certificate, whatever else is wrong.
    const fn weight(&self) -> u8 {
        match self {
            Self::Absent => 0,
            Self::Damaged(_) => 1,
            Self::Unreadable(_) => 2,
        }
    }

    /// What it is beside files that are usable.
    fn remark(&self) -> Option<Remark> {
        match self {
            Self::Absent => None,
            Self::Damaged(what) => Some(Remark::new(Code::PathRefused, &format!("servers cannot use {what}"))),
            Self::Unreadable(what) => Some(Remark::new(Code::FileUnjudged, what)),
        }
    }
}
