//! Why a store does not open, and what to do about it. Knows no file's format.

use super::FolderError;
use crate::log::Position;
use crate::log::disk::OpenError;
use crate::view::disk::ViewError;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a store does not open; the text says what to do next.
#[derive(Debug)]
pub enum StoreError {
    /// Its folder.
    Folder(FolderError),
    /// Its log.
    Log(OpenError),
    /// Its view, in this folder.
    View(PathBuf, ViewError),
    /// The log begins behind where the view ends: what lies between is gone.
    Gap {
        /// Up to where the view was applied.
        applied: Position,
        /// Where the log begins.
        begins: Position,
    },
    /// The log ends before the view does, and nothing in it was told before it was synced: files of it are gone.
    Short {
        /// Up to where the view was applied.
        applied: Position,
        /// Where the log ends.
        ends: Position,
    },
    /// A thread could not be started, or a file not be made.
    Io(PathBuf, io::Error),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(error) => write!(f, "{error}"),
            Self::Log(OpenError::Io(path, error)) | Self::Io(path, error) => {
                write!(f, "the store cannot be opened: {}: {error}{}", path.display(), room(error))
            }
            Self::Log(error) => write!(f, "{error}"),
            Self::View(path, error) => {
                write!(f, "the view in {} cannot be opened: {error}", path.display())?;
                match error.io().map(room) {
                    Some(what) if !what.is_empty() => f.write_str(what),
                    _ => f.write_str("; `longwire store rebuild` makes it anew of an export"),
                }
            }
            Self::Gap { applied, begins } => write!(
                f,
                "the log begins behind record {}, the view ends at {}: files of the log are missing, or the view has lost its end; \
                 restore them from a copy, or `longwire store rebuild` makes the view anew of an export",
                begins.0, applied.0
            ),
            Self::Short { applied, ends } => write!(
                f,
                "the log ends at record {}, the view has {}: files of the log are missing; restore them from a copy",
                ends.0, applied.0
            ),
        }
    }
}

/// What to do about a disk that is full.
fn room(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room there, or choose another folder with --data-dir"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; let this user write there, or choose another folder with --data-dir"
        }
        _ => "",
    }
}

impl std::error::Error for StoreError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_that_cannot_be_opened_says_what_to_do_about_it() {
        let says = |error: fjall::Error| StoreError::View("data/view".into(), error.into()).to_string();
        let told = says(fjall::Error::Io(io::ErrorKind::PermissionDenied.into()));
        assert!(told.contains("let this user write there"), "{told}");
        assert!(!told.contains("rebuild") && !told.contains("Fjall"), "{told}");
        let told = says(fjall::Error::Io(io::ErrorKind::StorageFull.into()));
        assert!(told.contains("make room there"), "{told}");
        let told = says(fjall::Error::Unrecoverable);
        assert!(told.contains("store rebuild"), "{told}");
    }
}
