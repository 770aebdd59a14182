//! A store's folder: one process at a time, one format, one identity. Knows what stands in it, not how it is read.
//!
//! `STORE` (TOML: `version`, `id`, `key`, and `origin` if it began with an export), `LOCK`, `log/`, `view/`; while the view is made
//! anew `view.part/`, after that the one before as `view.old/`.

use crate::log::Position;
use crate::log::disk::{StoreId, sync_folder};
use data_encoding::HEXLOWER;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use siphasher::sip128::SipHasher13;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The version of the whole folder's format.
const VERSION: u32 = 1;
pub(super) const LOG: &str = "log";
const VIEW: &str = "view";
const STORE: &str = "STORE";
/// Only the server's user reads it.
const PRIVATE: u32 = 0o600;

/// Why a folder cannot be used.
#[derive(Debug)]
pub enum FolderError {
    /// No store is there.
    Missing(PathBuf),
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
            Self::Missing(path) => {
                write!(f, "there is no store in {}; name its folder with --data-dir", path.display())
            }
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
            Self::Io(path, error) if error.kind() == io::ErrorKind::PermissionDenied => {
                write!(
                    f,
                    "{}: {error}; run this as the user that the folder belongs to, let this one read and write there, or choose \
                     another with --data-dir",
                    path.display()
                )
            }
            Self::Io(path, error) => {
                write!(f, "{}: {error}; make it usable, or choose another with --data-dir", path.display())
            }
        }
    }
}

impl std::error::Error for FolderError {}

/// What `STORE` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    version: u32,
    /// Which store the log's files belong to.
    id: Hex,
    /// By which names hash into partitions: outsiders must not be able to choose names that load one.
    key: Hex,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<OriginFields>,
}

/// What all versions have.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OriginFields {
    store: Hex,
    position: u64,
}

/// 16 bytes as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct Hex([u8; 16]);

impl From<Hex> for String {
    fn from(Hex(bytes): Hex) -> Self {
        HEXLOWER.encode(&bytes)
    }
}

impl TryFrom<String> for Hex {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("not 32 hexadecimal digits")
    }
}

/// What exports call a store by: its id stays secret, since it seeds the checksums of what others say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mark(pub [u8; 16]);

/// The export that a store began with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Origin {
    /// The mark of the store it was made of.
    pub store: Mark,
    /// The position of the last record that went into it.
    pub position: Position,
}

/// A folder held by this process.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    identity: Identity,
    /// The lock goes with it.
    _lock: File,
}

impl Folder {
    /// Takes a folder that is a store's already.
    pub(super) fn existing(path: &Path) -> Result<Self, FolderError> {
        use io::ErrorKind::{NotADirectory, NotFound};
        let file = path.join(STORE);
        match fs::metadata(&file) {
            Ok(found) if found.is_file() => Self::open(path),
            Ok(_) => Err(FolderError::Missing(path.into())),
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => {
                Err(FolderError::Missing(path.into()))
            }
            // One may be there.
            Err(error) => Err(FolderError::Io(file, error)),
        }
    }

    /// Takes a folder, and makes it a store's if it is empty.
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        let io = |error| FolderError::Io(path.into(), error);
        for folder in [path.into(), path.join(LOG), path.join(VIEW)] {
            make_folder(&folder).map_err(io)?;
        }
        let lock = lock(path)?;
        let identity = identity(path)?;
        Ok(Self { path: path.into(), identity, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn id(&self) -> StoreId {
        StoreId(u128::from_le_bytes(self.identity.id.0))
    }

    /// What exports call it by.
    pub(super) fn mark(&self) -> Mark {
        Mark(SipHasher13::new_with_key(&self.identity.id.0).hash(b"longwire export").as_bytes())
    }

    pub(super) fn key(&self) -> [u8; 16] {
        self.identity.key.0
    }

    /// What it began with, if that was an export.
    pub(super) fn origin(&self) -> Option<Origin> {
        let OriginFields { store, position } = self.identity.origin.as_ref()?;
        Some(Origin { store: Mark(store.0), position: Position(*position) })
    }

    /// Notes what it begins with.
    pub(super) fn begins_with(&mut self, origin: Origin) -> io::Result<()> {
        let Origin { store, position: Position(position) } = origin;
        self.identity.origin = Some(OriginFields { store: Hex(store.0), position });
        write(&self.path, &self.identity)
    }

    /// Where a view is made before it takes the place of the other one; what an earlier try left there is removed.
    pub(super) fn view_part(&self) -> io::Result<PathBuf> {
        let part = self.path.join("view.part");
        match fs::remove_dir_all(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(part),
        }
    }

    /// Puts the view made in `part` in the place of the other one, which stays as `view.old`.
    pub(super) fn swap_view(&self, part: &Path) -> io::Result<PathBuf> {
        let old = self.path.join("view.old");
        if old.exists() {
            fs::remove_dir_all(&old)?;
        }
        // At every instant one of them is there.
        renameat_with(CWD, part, CWD, self.view(), RenameFlags::EXCHANGE)?;
        fs::rename(part, &old)?;
        sync_folder(&self.path)?;
        Ok(old)
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
    // Whoever may open it may hold the lock.
    let mut open = OpenOptions::new();
    open.read(true).write(true).create(true).truncate(false).mode(PRIVATE);
    let mut file = open.open(path.join("LOCK")).map_err(io)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            return Err(FolderError::Busy(path.into(), holder.trim().parse().ok()));
        }
        Err(error) => return Err(io(error.into())),
    }
    let pid = std::process::id();
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{pid}"));
    written.map_err(io)?;
    Ok(file)
}

fn identity(path: &Path) -> Result<Identity, FolderError> {
    let file = path.join(STORE);
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
    let Version { version } = toml::from_str(&text).map_err(|error| damaged(error.message()))?;
    if version != VERSION {
        return Err(FolderError::Version(file, version));
    }
    toml::from_str(&text).map_err(|error| damaged(error.message()))
}

/// A new store's identity: on the disk before anything that names it.
fn make(path: &Path) -> io::Result<Identity> {
    let (mut id, mut key) = ([0; 16], [0; 16]);
    let mut random = File::open("/dev/urandom")?;
    random.read_exact(&mut id)?;
    random.read_exact(&mut key)?;
    let identity = Identity { version: VERSION, id: Hex(id), key: Hex(key), origin: None };
    write(path, &identity)?;
    Ok(identity)
}

fn write(path: &Path, identity: &Identity) -> io::Result<()> {
    let text = toml::to_string(identity).map_err(io::Error::other)?;
    let part = path.join("STORE.part");
    // Whoever knows its id and key can write messages that pass for commits, and choose names that load one partition.
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE).open(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(part, path.join(STORE))?;
    sync_folder(path)
}
