//! The secret that signs tokens, read from a file. Knows no token.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

/// The shortest key (bytes): as long as the hash it feeds (RFC 7518 section 3.2).
pub(super) const KEY_MIN: usize = 32;
/// The longest key file (bytes); a larger file is no key.
pub(super) const KEY_MAX: usize = 64 * 1024;

/// A secret of at least [`KEY_MIN`] bytes. It is never shown.
pub struct Key(Vec<u8>);

/// Why a file gives no key; the text says what to do.
#[derive(Debug)]
pub enum KeyError {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// The file's key has fewer bytes than [`KEY_MIN`]: this many.
    Short(PathBuf, usize),
    /// The file is larger than [`KEY_MAX`].
    Long(PathBuf),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "token key {}: {error}", path.display()),
            Self::Short(path, have) => write!(
                f,
                "token key {} has {have} bytes (a trailing newline is not counted) and needs at least {KEY_MIN}; \
                 make one: `head -c 32 /dev/urandom | base64 > {}`",
                path.display(),
                path.display()
            ),
            Self::Long(path) => write!(f, "token key {} is over {KEY_MAX} bytes: not a key", path.display()),
        }
    }
}

impl std::error::Error for KeyError {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// Reads a key; one trailing newline, which editors and `echo` leave, is not part of it.
    ///
    /// # Errors
    /// [`KeyError`] when the file cannot be read or its size is not a key's.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let mut bytes = fs::read(path).map_err(|error| KeyError::Unreadable(path.into(), error))?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        match bytes.len() {
            have @ 0..KEY_MIN => Err(KeyError::Short(path.into(), have)),
            KEY_MIN..=KEY_MAX => Ok(Self(bytes)),
            _ => Err(KeyError::Long(path.into())),
        }
    }

    /// The secret itself.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}
