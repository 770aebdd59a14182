//! A disk with less room than `store.min_free`, or with none: senders hear 503 before anything is written, `/readyz` says so, and the
//! server goes on when there is room again.
//!
//! The small disk is a tmpfs, which only root may mount; elsewhere that part says that it was left out.

mod common;
#[path = "common/ledger/mod.rs"]
mod ledger;
#[path = "common/process.rs"]
mod process;

use common::PATIENCE;
use ledger::{Book, Connection, Crowd, Durable, Said, Town, address, admin, audit, settle};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Instant;

const TOWN: Town = Town { users: 4, groups: 2 };

/// A mounted tmpfs; unmounted when dropped.
struct Small(PathBuf);

impl Small {
    fn mount(folder: &Path, mebibytes: u32) -> Option<Self> {
        let size = format!("size={mebibytes}m");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "longwire-test"]).arg(folder).output();
        match mount {
            Ok(done) if done.status.success() => Some(Self(folder.into())),
            Ok(done) => {
                println!("left out, no tmpfs: {}", String::from_utf8_lossy(&done.stderr).trim());
                None
            }
            Err(error) => {
                println!("left out, no tmpfs: mount: {error}");
                None
            }
        }
    }

    /// Takes so much room.
    fn fill(&self, mebibytes: usize) {
        let bytes = vec![1; 1 << 20];
        let mut file = fs::File::create(self.0.join("filler")).expect("a file");
        for _ in 0..mebibytes {
            if std::io::Write::write_all(&mut file, &bytes).is_err() {
                return;
            }
        }
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).expect("it was there");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// The log's segments: names and what is in them.
fn segments(store: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(store.join("log")).expect("the log").map(|entry| entry.expect("a file").path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "log")).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).expect("a segment"))).collect()
}

fn code(connection: &mut Connection, n: u32) -> Option<u16> {
    let answer = connection.ask(&format!(r#"{{"type":"message","to":"u0001","message":{n},"id":"x{n}"}}"#));
    let answer = answer.expect("an answer");
    serde_json::from_slice::<Said<'_>>(&answer).expect("JSON").code
}

#[test]
fn below_min_free_nothing_is_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store");
    let mut server = Durable::new(&store, "fsync");
    server.settings.push(("LONGWIRE_STORE_MIN_FREE", "1024GiB".into()));
    let running = server.start();
    let mut connection = Connection::sign_in(address(&running), "u0000").expect("a user");
    let before = segments(&store);
    for n in 0..20 {
        assert_eq!(code(&mut connection, n), Some(503));
    }
    assert_eq!(segments(&store), before, "nothing was written");
    wait_until("it says that it is not ready", || admin(&running, "/readyz").0 == 503);
}

#[test]
fn a_small_disk_fills_and_has_room_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(small) = Small::mount(folder.path(), 160) else { return };
    let store = folder.path().join("store");
    let mut server = Durable::new(&store, "fsync");
    server.settings.push(("LONGWIRE_STORE_MIN_FREE", "16MiB".into()));
    let mut running = server.start();
    settle(address(&running), TOWN);
    let mut connection = Connection::sign_in(address(&running), "u0000").expect("a user");
    assert_eq!(code(&mut connection, 0), None);
    small.fill(1000);
    let mut n = 100;
    let mut is_refused = || {
        n += 1;
        code(&mut connection, n) == Some(503)
    };
    wait_until("it has noticed", &mut is_refused);
    assert_eq!(admin(&running, "/readyz").0, 503);
    let before = segments(&store);
    for n in 2..20 {
        assert_eq!(code(&mut connection, n), Some(503));
    }
    assert_eq!(segments(&store), before, "nothing was written");
    small.empty();
    wait_until("it goes on", || code(&mut connection, 20).is_none());
    assert_eq!(admin(&running, "/readyz").0, 200);
    drop(connection);
    running.child.kill().expect("a running server");
    running.child.wait().expect("it ends");
}

#[test]
fn a_disk_without_any_room_loses_nothing_that_was_acked() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(small) = Small::mount(folder.path(), 160) else { return };
    let mut server = Durable::new(&folder.path().join("store"), "fsync");
    server.settings.push(("LONGWIRE_STORE_MIN_FREE", "0B".into()));
    let mut running = server.start();
    settle(address(&running), TOWN);
    let mut book = Book::default();
    let crowd = Crowd::begin(address(&running), TOWN, book.next, "fsync");
    wait_until("all is well", || crowd.acked.load(Ordering::Relaxed) > 50);
    small.fill(1000);
    wait_until("it is full", || crowd.refused.load(Ordering::Relaxed) > 50);
    small.empty();
    let acked = crowd.acked.load(Ordering::Relaxed);
    wait_until("it goes on", || crowd.acked.load(Ordering::Relaxed) > acked + 50);
    crowd.be_quiet();
    book.close(&crowd.end());
    audit(address(&running), TOWN, &mut book);
    running.child.kill().expect("a running server");
    running.child.wait().expect("it ends");
    running = server.start();
    book.heads.clear();
    audit(address(&running), TOWN, &mut book);
}
