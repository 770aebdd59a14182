//! A folder is used by one server at a time: a second one is told by whom, and the folder is free when that one has ended in whatever way.

#[path = "common/process.rs"]
mod process;

use process::{Running, stored};
use std::time::Duration;

#[test]
fn a_second_server_is_kept_off_the_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Running::spawn(stored(folder.path(), &[]), &["try"]);
    let second = stored(folder.path(), &[]).output().expect("it ends");
    let told = String::from_utf8_lossy(&second.stderr);
    let pid = format!("pid {}", server.child.id());
    assert_eq!(second.status.code(), Some(1), "{told}");
    assert!(told.contains(&pid) && told.contains("--data-dir"), "{told}");
    server.signal("KILL");
    server.exit_code(Duration::from_secs(20));
    Running::spawn(stored(folder.path(), &[]), &["try"]).stop();
}
