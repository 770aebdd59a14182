//! A disk that a test owns: the shim (`tests/shim`) below a server, what it is to fail, and a loss of power. Knows no server's files.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test is a crate and uses its own part of it

use rand::RngExt;
use rand::rngs::StdRng;
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// What a disk writes at once (bytes).
const SECTOR: usize = 512;
/// In place of an offset: the file was cut.
const CUT: u64 = u64::MAX;

/// The shim's library, built when it is first asked for: cargo builds none for a test.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_longwire")).parent().unwrap();
        let profile = match folder.file_name().and_then(|name| name.to_str()).unwrap() {
            "debug" => "dev",
            other => other,
        };
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "-p", "longwire-shim", "--profile", profile]);
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let target = folder.parent().unwrap();
        cargo.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(target);
        assert!(cargo.status().expect("cargo runs").success(), "the shim builds");
        folder.join("liblongwire_shim.so")
    })
}

/// A folder on a disk of its own.
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        let disk = Self { folder };
        disk.all_is_synced().unwrap();
        disk
    }

    /// The folder that is on it.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Has a process see this disk.
    pub fn below(&self, mut command: Command) -> Command {
        command.env("LD_PRELOAD", library());
        command.env("SHIM_ROOT", self.root());
        command.env("SHIM_DISK", self.part(""));
        command.env("SHIM_PLAN", self.folder.path().join("plan"));
        command
    }

    /// What fails from now on (see the shim).
    pub fn plan(&self, rules: &str) {
        let part = self.folder.path().join("plan.part");
        fs::write(&part, rules).unwrap();
        fs::rename(part, self.folder.path().join("plan")).unwrap();
    }

    fn part(&self, name: &str) -> PathBuf {
        self.folder.path().join("disk").join(name)
    }

    /// Leaves what a loss of power would: of what was not synced any part may be there, or nothing where there are no dice. Nobody
    /// may have anything open.
    pub fn lose_power(&self, mut random: Option<&mut StdRng>) {
        let (old, new) = (self.root(), self.folder.path().join("new"));
        let mut files = HashMap::new();
        walk(&old, &mut files).unwrap();
        fs::create_dir(&new).unwrap();
        self.restore(&key(&old).unwrap(), Some(&old), &new, &files, &mut random).unwrap();
        fs::remove_dir_all(&old).unwrap();
        fs::rename(new, old).unwrap();
        self.all_is_synced().unwrap();
    }

    fn restore(
        &self,
        of: &str,
        old: Option<&Path>,
        new: &Path,
        files: &HashMap<String, PathBuf>,
        random: &mut Option<&mut StdRng>,
    ) -> io::Result<()> {
        let synced = fs::read_to_string(self.part("names").join(of)).unwrap_or_default();
        let mut names: Vec<(bool, String, String)> = synced
            .lines()
            .map(|line| {
                let [kind, key, name] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
                (kind == "d", key.into(), name.into())
            })
            .collect();
        // A file system may have written newer names too, then all of them in their order.
        let newer = |random: &mut Option<&mut StdRng>| random.as_mut().is_some_and(|r| r.random_ratio(1, 2));
        if let Some(old) = old.filter(|_| newer(random)) {
            names = entries(old)?;
        }
        for (is_folder, key, name) in names {
            let at = new.join(&name);
            let was = files.get(&key);
            if is_folder {
                fs::create_dir(&at)?;
                self.restore(&key, was.map(PathBuf::as_path), &at, files, random)?;
            } else {
                self.restore_file(&key, was.map(PathBuf::as_path), &at, random)?;
            }
        }
        Ok(())
    }

    fn restore_file(
        &self,
        key: &str,
        was: Option<&Path>,
        at: &Path,
        random: &mut Option<&mut StdRng>,
    ) -> io::Result<()> {
        let new = File::create(at)?;
        if let Ok(synced) = File::open(self.part("data").join(key)) {
            copy(&synced, &new)?;
        }
        let pending = fs::read(self.part("pending").join(key)).unwrap_or_default();
        let (Some(was), Some(random)) = (was.filter(|_| !pending.is_empty()), random) else { return Ok(()) };
        let was = File::open(was)?;
        if random.random_ratio(1, 2) {
            new.set_len(was.metadata()?.len())?;
        }
        let len = new.metadata()?.len();
        // Nothing of it, some of it, or nearly all.
        let share = [0.0, 0.3, 0.9, 1.0][random.random_range(0..4)];
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        for entry in pending.chunks_exact(16) {
            let (from, many) = (number(&entry[..8]), number(&entry[8..]));
            if from == CUT {
                continue;
            }
            let first = from / SECTOR as u64 * SECTOR as u64;
            for sector in (first..(from + many).min(len)).step_by(SECTOR) {
                if random.random_bool(share) {
                    let mut bytes = [0; SECTOR];
                    let got = was.read_at(&mut bytes[..SECTOR.min((len - sector) as usize)], sector)?;
                    new.write_all_at(&bytes[..got], sector)?;
                }
            }
        }
        Ok(())
    }

    /// Everything that is there is on the disk.
    fn all_is_synced(&self) -> io::Result<()> {
        let _ = fs::remove_dir_all(self.part(""));
        for name in ["data", "pending", "names"] {
            fs::create_dir_all(self.part(name))?;
        }
        self.sync(&self.root())
    }

    fn sync(&self, folder: &Path) -> io::Result<()> {
        let mut names = String::new();
        for (is_folder, key, name) in entries(folder)? {
            names += &format!("{} {key} {name}\n", if is_folder { "d" } else { "f" });
            let path = folder.join(&name);
            if is_folder {
                self.sync(&path)?;
            } else {
                copy(&File::open(path)?, &File::create(self.part("data").join(key))?)?;
            }
        }
        fs::write(self.part("names").join(key(folder)?), names)
    }
}

fn entries(folder: &Path) -> io::Result<Vec<(bool, String, String)>> {
    let entry = |entry: io::Result<fs::DirEntry>| {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap().to_owned();
        Ok((path.is_dir(), key(&path)?, name))
    };
    folder.read_dir()?.map(entry).collect()
}

fn walk(folder: &Path, found: &mut HashMap<String, PathBuf>) -> io::Result<()> {
    for (is_folder, key, name) in entries(folder)? {
        let path = folder.join(name);
        if is_folder {
            walk(&path, found)?;
        }
        found.insert(key, path);
    }
    Ok(())
}

/// The inode and its birth, as the shim names files.
fn key(path: &Path) -> io::Result<String> {
    let stat = statx(CWD, path, AtFlags::empty(), StatxFlags::INO | StatxFlags::BTIME)?;
    let born = stat.stx_btime;
    Ok(format!("{}-{}-{}", stat.stx_ino, born.tv_sec, born.tv_nsec))
}

/// Copies a file; what is zeros stays a hole.
fn copy(from: &File, to: &File) -> io::Result<()> {
    let len = from.metadata()?.len();
    to.set_len(len)?;
    let mut bytes = vec![0; 1 << 16];
    let mut at = 0;
    while at < len {
        let got = from.read_at(&mut bytes, at)?;
        if got == 0 {
            break;
        }
        if bytes[..got].iter().any(|b| *b != 0) {
            to.write_all_at(&bytes[..got], at)?;
        }
        at += got as u64;
    }
    Ok(())
}
