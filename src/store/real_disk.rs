//! The real file system.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, CWD, OFlags, RenameFlags, StatxAttributes, StatxFlags, XattrFlags};
use rustix::io::Errno;

use crate::core::wanted::access_list;

use super::NotGiven;
use super::disk::{Disk, DiskFile, Hold, Kind, Perms, Stat};

/// The file system of the host.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let file = OpenOptions::new().read(true).custom_flags(NO_FOLLOW | NO_BLOCK).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file"));
        }
        let mut bytes = vec![0; usize::try_from(metadata.len().min(limit)).unwrap_or(0) + 1];
        let mut file = file.take(limit + 1);
        let length = file.read(&mut bytes)?;
        bytes.truncate(length);
        if length as u64 != metadata.len() {
            file.read_to_end(&mut bytes)?;
        }
        if bytes.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is larger than {limit} bytes")));
        }
        Ok(bytes)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::read_link(path)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let metadata = std::fs::symlink_metadata(path)?;
        let file_type = metadata.file_type();
        let kind = if file_type.is_file() {
            Kind::File
        } else if file_type.is_dir() {
            Kind::Dir
        } else if file_type.is_symlink() {
            Kind::Symlink
        } else {
            Kind::Other
        };
        Ok(Stat {
            kind,
            size: metadata.len(),
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            ctime: metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec()),
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    }

    fn create(&self, path: &Path, perms: Perms) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(NO_FOLLOW).open(path)?;
        let prepared = prepare(&file, perms);
        if let Err(error) = prepared {
            // What cannot be given its owner must not stay behind; the first error is the one that tells.
            drop(std::fs::remove_file(path));
            return Err(error);
        }
        Ok(Box::new(RealFile(file)))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut file = OpenOptions::new().write(true).custom_flags(NO_FOLLOW).open(path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Box::new(RealFile(file)))
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).custom_flags(NO_FOLLOW).open(path)?;
        // By another name it is somebody's backup, which removing this name leaves alone.
        if file.metadata()?.nlink() > 1 {
            return Ok(());
        }
        file.write_all(bytes)?;
        file.sync_data()
    }

    fn copy_label(&self, replaced: &Path, staged: &Path) -> io::Result<()> {
        let mut label = vec![0; 4096];
        let Ok(length) = rustix::fs::lgetxattr(replaced, LABEL, &mut label) else { return Ok(()) };
        label.truncate(length);
        match rustix::fs::lsetxattr(staged, LABEL, &label, XattrFlags::empty()) {
            Err(error) if error != Errno::OPNOTSUPP => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn make_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        std::fs::DirBuilder::new().mode(mode).create(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    }

    #[expect(clippy::disallowed_methods, reason = "store::replace calls this, and syncs")]
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        Ok(rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
    }

    fn link(&self, file: &Path, name: &Path) -> io::Result<()> {
        Ok(rustix::fs::linkat(CWD, file, CWD, name, AtFlags::empty())?)
    }

    fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(target, path)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn sweep(&self, folder: &Path, prefix: &str, owners: &[u32]) -> io::Result<()> {
        let opened = rustix::fs::open(folder, OFlags::DIRECTORY | OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
        for entry in rustix::fs::Dir::read_from(&opened)? {
            let entry = entry?;
            let name = entry.file_name();
            if !name.to_bytes().starts_with(prefix.as_bytes()) {
                continue;
            }
            let Ok(stat) = rustix::fs::statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let is_folder = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir();
            if !is_folder && owners.contains(&stat.st_uid) {
                let _swept = rustix::fs::unlinkat(&opened, name, AtFlags::empty());
            }
        }
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let synced = File::open(path).and_then(|folder| folder.sync_all());
        if synced.is_err() {
            settled().remove(path);
        }
        synced
    }

    fn sync_changed_dir(&self, path: &Path) -> io::Result<()> {
        if settled().contains(path) {
            return Ok(());
        }
        self.sync_dir(path)?;
        let mut settled = settled();
        if settled.len() < MOST_SETTLED {
            settled.insert(path.to_owned());
        }
        Ok(())
    }

    fn hold(&self, path: &Path) -> Option<Hold> {
        let stat = rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE).ok()?;
        if stat.stx_attributes.contains(StatxAttributes::IMMUTABLE) {
            return Some(Hold::Immutable);
        }
        stat.stx_attributes.contains(StatxAttributes::APPEND).then_some(Hold::AppendOnly)
    }

    fn access_list(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let mut list = vec![0; LONGEST_LIST];
        match rustix::fs::lgetxattr(path, access_list::ATTRIBUTE, &mut list) {
            Ok(length) => {
                list.truncate(length);
                Ok(Some(list))
            }
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn is_mount_point(&self, path: &Path) -> io::Result<bool> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        let wanted = path.to_string_lossy();
        // Field 5 is the mount point; blanks in it are written as \040.
        let is_it = |line: &str| line.split(' ').nth(4).is_some_and(|point| point.replace("\\040", " ") == wanted);
        Ok(mounts.lines().any(is_it))
    }
}

/// The folders that this process has synced since it began.
fn settled() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    static SETTLED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    SETTLED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Enough for the folders that all certificates share.
const MOST_SETTLED: usize = 64;

/// Mode first: with `CAP_CHOWN` alone, as the unit has it, a file that was given away cannot be changed any more.
fn prepare(file: &File, perms: Perms) -> io::Result<()> {
    file.set_permissions(std::fs::Permissions::from_mode(perms.mode))?;
    if perms.uid.is_some() || perms.gid.is_some() {
        std::os::unix::fs::fchown(file, perms.uid, perms.gid).map_err(|error| NotGiven::of(perms, error))?;
    }
    Ok(())
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)?;
        self.0.seek(SeekFrom::Start(length)).map(drop)
    }
}

/// The longest value of an attribute that Linux takes.
const LONGEST_LIST: usize = 64 << 10;
const LABEL: &str = "security.selinux";
#[expect(clippy::cast_possible_wrap, reason = "the flags are small")]
pub(super) const NO_FOLLOW: i32 = OFlags::NOFOLLOW.bits() as i32;
#[expect(clippy::cast_possible_wrap, reason = "the flags are small")]
pub(super) const NO_BLOCK: i32 = OFlags::NONBLOCK.bits() as i32;
