//! A server does not start over a store that is damaged, newer, or of somebody else: it says which file, where in it, and what to do.

#[path = "common/process.rs"]
mod process;

use process::{Running, stored};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What a start says that must fail.
fn refusal(folder: &Path) -> String {
    let output = stored(folder, &[]).output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    told
}

fn segment(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder.join("log")).expect("a log").map(|entry| entry.expect("an entry").path());
    files.into_iter().find(|path| path.extension().is_some_and(|e| e == "log")).expect("a segment")
}

#[test]
fn a_store_that_is_not_as_it_was_left_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    Running::spawn(stored(folder.path(), &[]), &["try"]).stop();

    let file = segment(folder.path());
    let whole = fs::read(&file).expect("a segment");
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    fs::write(&file, &damaged).expect("written");
    let told = refusal(folder.path());
    assert!(told.contains(&file.display().to_string()) && told.contains("damaged at byte 0"), "{told}");
    assert!(told.contains("restore it from a copy"), "{told}");
    assert_eq!(fs::read(&file).expect("a segment"), damaged, "nothing may be changed");
    fs::write(&file, &whole).expect("written");

    let store = folder.path().join("STORE");
    let text = fs::read_to_string(&store).expect("a text");
    fs::write(&store, text.replace("version = 1", "version = 99")).expect("written");
    let told = refusal(folder.path());
    assert!(told.contains("version 99") && told.contains("export with the server that wrote it"), "{told}");
    fs::write(&store, text).expect("written");

    let no_folder = refusal(&file);
    assert!(
        no_folder.contains(&file.display().to_string()) && no_folder.contains("--data-dir"),
        "{no_folder}"
    );
    Running::spawn(stored(folder.path(), &[]), &["try"]).stop();
}

#[test]
fn what_must_stay_secret_is_nobody_elses_to_read() {
    let folder = tempfile::tempdir().expect("a folder");
    // One that was made by hand.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a folder of one's own");
    Running::spawn(stored(folder.path(), &[]), &["try"]).stop();
    for name in ["STORE", "LOCK", "log", "view"] {
        let mode = fs::metadata(folder.path().join(name)).expect("it is there").mode();
        assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
    }
}
