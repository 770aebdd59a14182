//! A byte of the log that was changed while no server ran is refused by the next one: it names file and offset, ends, and changes
//! nothing. Half a commit at the end is no damage: it is cut off, told, and the server starts.
//!
//! `LONGWIRE_SEED=7` repeats the dice of a run.

mod common;
#[path = "common/ledger/mod.rs"]
mod ledger;
#[path = "common/process.rs"]
mod process;

use common::PATIENCE;
use ledger::{Connection, Durable, address, number};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

/// Where the first commit begins, and its header's length (bytes).
const FIRST: usize = 4096;
const HEADER: usize = 48;

/// A store with some messages, each in a commit of its own; its server was killed, or ended well.
fn store(folder: &Path, ends_well: bool) -> Durable {
    let server = Durable::new(&folder.join("store"), "fsync");
    let mut running = server.start();
    let mut connection = Connection::sign_in(address(&running), "anna").expect("a user");
    for n in 0..12 {
        let text = "Tee ".repeat(n * n);
        let send = format!(r#"{{"type":"message","to":"bela","message":"{text}","id":"m{n}"}}"#);
        let ack = connection.ask(&send).expect("an answer");
        assert!(ack.starts_with(br#"{"type":"ack""#));
    }
    if ends_well {
        running.signal("TERM");
        assert_eq!(running.exit_code(PATIENCE), Some(0));
    } else {
        running.child.kill().expect("a running server");
        running.child.wait().expect("it ends");
    }
    server
}

fn segment(server: &Durable) -> PathBuf {
    let files = fs::read_dir(server.data_dir.join("log")).expect("the log");
    let mut files = files.map(|entry| entry.expect("a file").path());
    files.find(|path| path.extension().is_some_and(|e| e == "log")).expect("a segment")
}

/// Where commits begin, and where the last one ends.
fn commits(bytes: &[u8]) -> Vec<usize> {
    let mut at = vec![FIRST];
    while let Some(header) =
        bytes[at[at.len() - 1]..].get(..HEADER).filter(|header| header.starts_with(b"LWCM"))
    {
        let body = u32::from_le_bytes(header[8..12].try_into().expect("four bytes")) as usize;
        at.push(at[at.len() - 1] + (HEADER + body).next_multiple_of(8));
    }
    at
}

/// Every file of a folder with what is in it.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_some_and(|name| name != "LOCK") {
            found.push((path.clone(), fs::read(path).expect("a file")));
        }
    }
    found.sort();
    found
}

/// What a server that does not start says.
fn refusal(server: &Durable) -> String {
    let mut child =
        server.command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("it should have ended");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    let mut said = String::new();
    child.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
    assert!(status.code().is_some_and(|code| code != 0), "{status}: {said}");
    said
}

#[test]
fn wherever_it_is() {
    let seed = number("LONGWIRE_SEED").unwrap_or_else(rand::random);
    println!("LONGWIRE_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for ends_well in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let server = store(folder.path(), ends_well);
        let file = segment(&server);
        let whole = fs::read(&file).expect("the segment");
        let starts = commits(&whole);
        let last = starts[starts.len() - 2];
        let mut places: Vec<usize> = (0..6).map(|_| random.random_range(FIRST..last)).collect();
        places.extend([0, 20, FIRST, FIRST + 9, last - 1]);
        if ends_well {
            places.extend([starts[starts.len() - 1], whole.len() - 1]);
        }
        for at in places {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << random.random_range(0..8);
            fs::write(&file, &bytes).expect("the segment");
            let before = files(&server.data_dir);
            let said = refusal(&server);
            let begins = starts.iter().rev().find(|start| **start <= at).copied().unwrap_or(0);
            assert!(said.contains(file.to_str().expect("text")), "{at}: {said}");
            assert!(said.contains(&format!("byte {begins}:")), "{at}: {said}");
            assert!(files(&server.data_dir) == before, "{at}: nothing is changed");
        }
        fs::write(&file, &whole).expect("the segment");
        drop(server.start());
    }
}

#[test]
fn a_torn_end_is_cut_off_and_told() {
    let seed = number("LONGWIRE_SEED").unwrap_or_else(rand::random);
    println!("LONGWIRE_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..3 {
        let folder = tempfile::tempdir().expect("a folder");
        let server = store(folder.path(), false);
        let file = segment(&server);
        let mut bytes = fs::read(&file).expect("the segment");
        let starts = commits(&bytes);
        let [.., last, end] = starts[..] else { panic!("commits") };
        let cut = random.random_range(last + 1..end - 8);
        bytes[cut..end].fill(0);
        fs::write(&file, &bytes).expect("the segment");
        // The view had it: it is made anew, as after a loss of power that took it there as well.
        fs::remove_dir_all(server.data_dir.join("view")).expect("the view");
        let running = server.start();
        let mut connection = Connection::sign_in(address(&running), "anna").expect("a user");
        let page =
            connection.ask(r#"{"type":"history","conversation":"u:anna:bela","after":0}"#).expect("a page");
        let page = String::from_utf8(page).expect("text");
        assert!(page.contains(r#""id":"m10""#) && !page.contains(r#""id":"m11""#), "{page}");
        let said = &running.banner;
        let place = (said.contains(file.to_str().expect("text")), said.contains(&last.to_string()));
        assert_eq!(place, (true, true), "{said}");
    }
}
