//! The host's file system without the syncs: what is made here need not survive a loss of power.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use renewd::store::disk::{Disk, DiskFile, Hold, Perms, Stat};
use renewd::store::real_disk::RealDisk;

#[derive(Clone, Copy)]
pub(super) struct Unsynced;

impl Disk for Unsynced {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        RealDisk.read(path, limit)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        RealDisk.read_link(path)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        RealDisk.stat(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        RealDisk.list(path)
    }

    fn create(&self, path: &Path, perms: Perms) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UnsyncedFile(RealDisk.create(path, perms)?)))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UnsyncedFile(RealDisk.append(path)?)))
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        RealDisk.overwrite(path, bytes)
    }

    fn copy_label(&self, replaced: &Path, staged: &Path) -> io::Result<()> {
        RealDisk.copy_label(replaced, staged)
    }

    fn make_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        RealDisk.make_dir(path, mode)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        RealDisk.exchange(one, other)
    }

    fn link(&self, file: &Path, name: &Path) -> io::Result<()> {
        RealDisk.link(file, name)
    }

    fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        RealDisk.symlink(target, path)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_dir(path)
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn hold(&self, path: &Path) -> Option<Hold> {
        RealDisk.hold(path)
    }

    fn access_list(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        RealDisk.access_list(path)
    }

    fn is_mount_point(&self, path: &Path) -> io::Result<bool> {
        RealDisk.is_mount_point(path)
    }
}

struct UnsyncedFile(Box<dyn DiskFile>);

impl DiskFile for UnsyncedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.0.cut(length)
    }
}
