//! A browser that opens a server in dev mode gets the demo chat with all of its files, held to its own scripts; no other server has it,
//! and no name but this machine's.

mod common;

use common::{TestServer, plan};
use longwire::shard::AppKind;
use std::io::{Read, Write};

/// The answer to a request: status, header fields and body.
fn ask(server: &TestServer, method: &str, path: &str, host: &str) -> (u16, String, String) {
    let mut socket = server.tcp();
    write!(socket, "{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("it is sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("text, and an end");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head[9..12].parse().expect("a status"), head.to_owned(), body.to_owned())
}

/// What a text names between `before` and the next quotation mark.
fn named<'t>(text: &'t str, before: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(['"', '\'']).next())
}

#[test]
fn every_file_of_the_page_is_there_with_its_type() {
    let server = TestServer::chat(1, &[]);
    let mut paths = vec![String::from("/")];
    let mut at = 0;
    while let Some(path) = paths.get(at).cloned() {
        let (status, head, body) = ask(&server, "GET", &path, "localhost:1");
        assert_eq!(status, 200, "{path}");
        let kind = match path.rsplit_once('.') {
            Some((_, "js")) => "text/javascript",
            Some((_, "css")) => "text/css",
            _ => "text/html",
        };
        for field in [
            format!("Content-Type: {kind}; charset=utf-8"),
            format!("Content-Length: {}", body.len()),
            "Content-Security-Policy: default-src 'none'; script-src 'self';".into(),
            "X-Content-Type-Options: nosniff".into(),
            "Cache-Control: no-cache".into(),
        ] {
            assert!(head.contains(&format!("\r\n{field}")), "{path}: {field} in {head}");
        }
        assert_eq!(ask(&server, "HEAD", &path, "localhost:1"), (200, head, String::new()));
        let found = named(&body, "src=\"")
            .chain(named(&body, "rel=\"stylesheet\" href=\""))
            .chain(named(&body, "from './"))
            .map(|name| format!("/{name}"));
        for path in found {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        at += 1;
    }
    let mut files: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/web"))
        .expect("the folder of the page")
        .map(|file| format!("/{}", file.expect("a file").file_name().to_str().expect("a name")))
        .map(|path| if path == "/index.html" { "/".into() } else { path })
        .collect();
    files.sort();
    paths.sort();
    assert_eq!(paths, files, "what the page asks for is what there is");
}

#[test]
fn other_paths_methods_and_names_are_refused() {
    let server = TestServer::chat(1, &[]);
    assert_eq!(ask(&server, "GET", "/page.html", "localhost").0, 404);
    assert_eq!(ask(&server, "HEAD", "/page.html", "localhost").0, 404);
    assert_eq!(ask(&server, "POST", "/page.js", "localhost").0, 405);
    assert_eq!(ask(&server, "GET", "/", "evil.example").0, 403);
    assert_eq!(ask(&server, "GET", "/page.js", "evil.example").0, 403);
}

#[test]
fn a_server_for_others_has_no_page() {
    let server = TestServer::launch(&plan(AppKind::Chat, 1, &[]));
    let (status, head, body) = ask(&server, "GET", "/", "localhost");
    assert_eq!((status, body.contains("This is a Longwire server")), (200, true));
    assert!(head.contains("Content-Type: text/plain"), "{head}");
    for path in ["/page.js", "/page.css", "/longwire.js", "/index.html"] {
        assert_eq!(ask(&server, "GET", path, "localhost").0, 404, "{path}");
        assert_eq!(ask(&server, "HEAD", path, "localhost").0, 404, "{path}");
    }
}
