//! A store's folder: one process at a time, one format, one identity. Knows what stands in it, not how it is read.
//!
//! `STORE` (TOML: `version`, `id`, `key`), `LOCK`, `log/`, `view/`.

use crate::log::disk::StoreId;
use data_encoding::HEXLOWER;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The version of the whole folder's format.
const VERSION: u32 = 1;
pub(super) const LOG: &str = "log";
const VIEW: &str = "view";

/// Why a folder cannot be used.
#[derive(Debug)]
pub enum FolderError {
    /// Another process has it open: its id, if it is known.
    Busy(PathBuf, Option<u32>),
    /// It was made by another version.
    Version(PathBuf, u32),
    /// `STORE` is not what it was written as.
    Damaged(PathBuf, String),
    /// A file or folder cannot be made, read or written.
    Io(PathBuf, io::Error),
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(path, Some(pid)) => {
                write!(
                    f,
                    "{} is busy: pid {pid} uses it; stop it or choose another with --data-dir",
                    path.display()
                )
            }
            Self::Busy(path, None) => {
                write!(
                    f,
                    "{} is busy: another process uses it; stop it or choose another with --data-dir",
                    path.display()
                )
            }
            Self::Version(path, found) => write!(
                f,
                "{} has version {found} of the format, this server reads version {VERSION}: export with the server that wrote it",
                path.display()
            ),
            Self::Damaged(path, what) => {
                write!(f, "{} is damaged: {what}; restore it from a copy", path.display())
            }
            Self::Io(path, error) => {
                write!(f, "{}: {error}; make it usable, or choose another with --data-dir", path.display())
            }
        }
    }
}

impl std::error::Error for FolderError {}

/// What `STORE` says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    version: u32,
    /// Which store the log's files belong to.
    id: String,
    /// By which names hash into partitions: outsiders must not be able to choose names that load one.
    key: String,
}

/// A folder held by this process.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    id: StoreId,
    key: [u8; 16],
    /// The lock goes with it.
    _lock: File,
}

impl Folder {
    /// Takes a folder, and makes it a store's if it is empty.
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        let io = |error| FolderError::Io(path.into(), error);
        for folder in [path.into(), path.join(LOG), path.join(VIEW)] {
            make_folder(&folder).map_err(io)?;
        }
        let lock = lock(path)?;
        let (id, key) = identity(path)?;
        Ok(Self { path: path.into(), id: StoreId(u128::from_le_bytes(id)), key, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn id(&self) -> StoreId {
        self.id
    }

    pub(super) fn key(&self) -> [u8; 16] {
        self.key
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join(LOG)
    }

    pub(super) fn view(&self) -> PathBuf {
        self.path.join(VIEW)
    }
}

/// Makes a folder and those above it; what is said in private is nobody else's to read, and no loss of power takes the name.
fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_folder(above)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| File::open(above)?.sync_all()),
    }
}

fn lock(path: &Path) -> Result<File, FolderError> {
    let io = |error| FolderError::Io(path.join("LOCK"), error);
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join("LOCK"));
    let mut file = open.map_err(io)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        return Err(FolderError::Busy(path.into(), holder.trim().parse().ok()));
    }
    let pid = std::process::id();
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{pid}"));
    written.map_err(io)?;
    Ok(file)
}

fn identity(path: &Path) -> Result<([u8; 16], [u8; 16]), FolderError> {
    let file = path.join("STORE");
    let io = |error| FolderError::Io(file.clone(), error);
    let damaged = |what: &str| FolderError::Damaged(file.clone(), what.into());
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let holds = |folder| path.join(folder).read_dir().is_ok_and(|mut found| found.next().is_some());
            // A new number would make what is there a stranger's.
            if holds(LOG) || holds(VIEW) {
                return Err(damaged("it is missing, and the log or the view is not"));
            }
            return make(path).map_err(io);
        }
        Err(error) => return Err(io(error)),
    };
    let identity: Identity = toml::from_str(&text).map_err(|error| damaged(error.message()))?;
    if identity.version != VERSION {
        return Err(FolderError::Version(file, identity.version));
    }
    let bytes = |hex: &str| HEXLOWER.decode(hex.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    let both = bytes(&identity.id).zip(bytes(&identity.key));
    both.ok_or_else(|| damaged("`id` and `key` are 32 hexadecimal digits each"))
}

/// A new store's identity: on the disk before anything that names it.
fn make(path: &Path) -> io::Result<([u8; 16], [u8; 16])> {
    let mut random = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let (id, key) = random.split_at(16);
    let identity = Identity { version: VERSION, id: HEXLOWER.encode(id), key: HEXLOWER.encode(key) };
    let text = toml::to_string(&identity).map_err(io::Error::other)?;
    let part = path.join("STORE.part");
    let mut file = File::create(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(part, path.join("STORE"))?;
    File::open(path)?.sync_all()?;
    let [id, key] = [id, key].map(|bytes| std::array::from_fn(|n| bytes[n]));
    Ok((id, key))
}
