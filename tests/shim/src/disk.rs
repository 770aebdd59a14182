//! What is on the disk, and what only the kernel has. Knows no plan's grammar.
//!
//! In its folder, for each file by its inode and the time of its birth, `data/` has what was synced, `pending/` where was written
//! since (offset and length; with the largest offset: it was cut to that length), and `names/` what a folder held when it was synced last.

use crate::plan::{Act, Call, Plan};
use libc::c_int;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// In place of an offset: the file was cut.
const CUT: u64 = u64::MAX;
/// What a disk writes at once (bytes).
const SECTOR: u64 = 512;

pub(crate) struct Disk {
    root: PathBuf,
    folder: PathBuf,
    plan: Plan,
    pending: HashMap<String, File>,
    /// Moves on with each sector whose fate is open.
    dice: u64,
}

impl Disk {
    pub(crate) fn of_environment() -> Option<Self> {
        let root = fs::canonicalize(std::env::var_os("SHIM_ROOT")?).ok()?;
        let folder: PathBuf = std::env::var_os("SHIM_DISK")?.into();
        for name in ["data", "pending", "names"] {
            fs::create_dir_all(folder.join(name)).ok()?;
        }
        let plan = Plan::new(std::env::var_os("SHIM_PLAN").map(PathBuf::from));
        Some(Self { root, folder, plan, pending: HashMap::new(), dice: std::process::id().into() })
    }

    /// Whether a descriptor is of something below the root.
    pub(crate) fn has(&self, fd: c_int) -> bool {
        path(fd).is_some_and(|path| path.starts_with(&self.root))
    }

    pub(crate) fn plan(&mut self, fd: c_int, call: Call) -> Option<Act> {
        self.plan.act(call, &path(fd)?)
    }

    fn pending(&mut self, fd: c_int) -> Option<&mut File> {
        let key = key(fd)?;
        if !self.pending.contains_key(&key) {
            let file = self.folder.join("pending").join(&key);
            let file = OpenOptions::new().read(true).append(true).create(true).open(file).ok()?;
            self.pending.insert(key.clone(), file);
        }
        self.pending.get_mut(&key)
    }

    fn note(&mut self, fd: c_int, at: u64, len: u64) {
        let mut entry = [0; 16];
        entry[..8].copy_from_slice(&at.to_le_bytes());
        entry[8..].copy_from_slice(&len.to_le_bytes());
        if let Some(pending) = self.pending(fd) {
            let _ = pending.write_all(&entry);
        }
    }

    /// So much is about to be written, where it says or where the file stands.
    pub(crate) fn writes(&mut self, fd: c_int, at: Option<i64>, len: u64) {
        // SAFETY: it is the caller's descriptor, and it is open.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
        let stands = |whence| {
            // SAFETY: as above; the end is asked for where the kernel will write there.
            unsafe { libc::lseek(fd, 0, whence) }
        };
        let at = match at {
            Some(at) => at,
            None if flags & libc::O_APPEND != 0 => stands(libc::SEEK_END),
            None => stands(libc::SEEK_CUR),
        };
        if let Ok(at) = u64::try_from(at) {
            self.note(fd, at, len);
        }
    }

    /// It is about to be cut, or made longer, to so much.
    pub(crate) fn cuts(&mut self, fd: c_int, len: u64) {
        self.note(fd, CUT, len);
    }

    fn taken(&mut self, fd: c_int) -> Vec<(u64, u64)> {
        let mut bytes = Vec::new();
        if let Some(pending) = self.pending(fd) {
            let _ = pending.seek(SeekFrom::Start(0)).and_then(|_| pending.read_to_end(&mut bytes));
        }
        let number = |bytes: &[u8]| u64::from_le_bytes(std::array::from_fn(|n| bytes[n]));
        bytes.chunks_exact(16).map(|entry| (number(&entry[..8]), number(&entry[8..]))).collect()
    }

    /// All of it comes to be on the disk.
    pub(crate) fn syncs(&mut self, fd: c_int) {
        let Some(open) = path(fd) else { return };
        if open.is_dir() {
            return self.syncs_names(fd, &open);
        }
        self.copy(fd, |_| true);
        self.forget(fd);
    }

    /// A sync fails: some of it comes to be on the disk; the kernel takes all of it for clean.
    pub(crate) fn loses(&mut self, fd: c_int) {
        if path(fd).is_some_and(|open| open.is_dir()) {
            return;
        }
        let mut dice = self.dice;
        self.copy(fd, |_| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            dice >> 63 == 1
        });
        self.dice = dice;
        self.forget(fd);
    }

    fn copy(&mut self, fd: c_int, mut comes: impl FnMut(u64) -> bool) {
        let taken = self.taken(fd);
        let Some(key) = key(fd) else { return };
        // By a path of its own: the caller's may be for writing only, and its place in the file is its own.
        let Ok(source) = File::open(format!("/proc/self/fd/{fd}")) else { return };
        let data = self.folder.join("data").join(key);
        let Ok(data) = OpenOptions::new().write(true).create(true).truncate(false).open(data) else { return };
        let Ok(len) = source.metadata().map(|meta| meta.len()) else { return };
        for (at, to) in taken {
            if at == CUT {
                let _ = data.set_len(to);
                continue;
            }
            let mut sector = at / SECTOR * SECTOR;
            while sector < at + to {
                let now = if comes(sector) { copy_sector(&source, &data, sector) } else { Ok(()) };
                if now.is_err() {
                    break;
                }
                sector += SECTOR;
            }
        }
        let _ = data.set_len(len);
    }

    fn forget(&mut self, fd: c_int) {
        if let Some(pending) = self.pending(fd) {
            let _ = pending.set_len(0);
        }
    }

    fn syncs_names(&self, fd: c_int, folder: &Path) {
        let Some(key) = key(fd) else { return };
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(file) = File::open(entry.path()) else { continue };
            let Some(of) = key_of(&file) else { continue };
            let kind = if entry.path().is_dir() { "d" } else { "f" };
            names.extend_from_slice(format!("{kind} {of} ").as_bytes());
            names.extend_from_slice(entry.file_name().as_bytes());
            names.push(b'\n');
        }
        // At once, or not at all, as far as a killed process goes.
        let part = self.folder.join("part");
        let _ = fs::write(&part, names).and_then(|()| fs::rename(&part, self.folder.join("names").join(key)));
    }
}

fn copy_sector(from: &File, to: &File, at: u64) -> std::io::Result<()> {
    let mut bytes = [0; SECTOR as usize];
    let mut got = 0;
    while got < bytes.len() {
        match from.read_at(&mut bytes[got..], at + got as u64)? {
            0 => break,
            more => got += more,
        }
    }
    to.write_all_at(&bytes[..got], at)
}

fn path(fd: c_int) -> Option<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{fd}")).ok()
}

fn key_of(file: &File) -> Option<String> {
    use std::os::fd::AsRawFd;
    key(file.as_raw_fd())
}

/// The inode and its birth: numbers of inodes are used again.
fn key(fd: c_int) -> Option<String> {
    // SAFETY: zeros are a `statx`, and the pointers are of this frame.
    let (got, stat) = unsafe {
        let mut stat: libc::statx = std::mem::zeroed();
        let mask = libc::STATX_INO | libc::STATX_BTIME;
        (libc::statx(fd, c"".as_ptr(), libc::AT_EMPTY_PATH, mask, &raw mut stat), stat)
    };
    let born = stat.stx_btime;
    (got == 0).then(|| format!("{}-{}-{}", stat.stx_ino, born.tv_sec, born.tv_nsec))
}
