//! Settings: one table, read from flags, variables and a file. Knows nothing of the server that uses them.
//!
//! A value is taken from the flag, else the `LONGWIRE_*` variable, else the file, else the default.
//! Every setting is a row in `table`: field, key, flag, variable and reference all come from it.

mod check;
mod flags;
mod reference;
mod sources;
mod table;
mod values;

use crate::durability::Durability;
use std::path::PathBuf;

pub use flags::{args, given};
pub use reference::{markdown, toml as toml_template};
pub use sources::{CONFIG_VARIABLE, SettingsError, Sources};
pub use table::{ROWS, Row, Settings};
pub use values::{Bytes, CoreList, FileMode, Value};

/// The row of a key.
pub fn row(key: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.key == key)
}

/// Where `--dev` keeps messages when nobody says where.
const DEV_DATA_DIR: &str = "longwire-data";

impl Settings {
    /// The defaults with some keys changed, checked as a file's would be.
    ///
    /// # Errors
    /// [`SettingsError`] naming every key that is unknown or has a bad value.
    pub fn with<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, SettingsError> {
        let flags = pairs.into_iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        Sources { flags, ..Sources::default() }.load()
    }

    /// The folder that messages are kept in: none with `memory`, and one of `--dev`'s own in the folder it is started in.
    pub fn data_dir(&self) -> Option<PathBuf> {
        let dev = || self.server_dev.then(|| PathBuf::from(DEV_DATA_DIR));
        let stored = self.store_durability != Durability::Memory;
        stored.then(|| self.store_data_dir.clone().or_else(dev)).flatten()
    }

    /// Whether anyone may create and join groups: as set, else only with `server.dev`.
    pub fn groups_are_open(&self) -> bool {
        self.group_open.unwrap_or(self.server_dev)
    }
}
