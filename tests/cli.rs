//! The command line does what its help says, and every refusal tells what to do next.
#![allow(clippy::unwrap_used, reason = "helpers of a test panic as the test does")]

#[path = "common/process.rs"]
mod process;

use longwire::auth::Verifier;
use longwire::clock::Clock;
use longwire::settings::{markdown, toml_template};
use process::{Running, get, longwire};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, Instant};

fn run(arguments: &[&str]) -> (i32, String, String) {
    outcome(&longwire(arguments).output().unwrap())
}

fn outcome(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// A file of this test's own, removed when dropped.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("longwire-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const DEV: [&str; 8] =
    ["serve", "--dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--connections", "1000"];

#[test]
fn help_shows_a_newcomer_what_to_type() {
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, 0);
    for part in ["longwire serve --dev", "gentoken", "checkconfig", "genconfig", "echo"] {
        assert!(out.contains(part), "{part} in {out}");
    }
    let (_, short, _) = run(&["serve", "-h"]);
    let (_, long, _) = run(&["serve", "--help"]);
    assert!(short.contains("--heartbeat") && !short.contains("--client-auth-timeout"), "{short}");
    assert!(long.contains("--client-auth-timeout") && long.contains("[default: 10s]"), "{long}");
    let (code, out, _) = run(&["--version"]);
    assert_eq!((code, out.trim()), (0, concat!("longwire ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn wrong_arguments_and_settings_end_with_2() {
    assert_eq!(run(&[]).0, 2);
    assert_eq!(run(&["serve", "--no-such-flag"]).0, 2);
    let (code, _, error) = run(&["serve", "--dev", "--heartbeat", "25"]);
    assert!(code == 2 && error.starts_with("error: --heartbeat: `25` is not a duration"), "{error}");
    let (code, _, error) = run(&["serve", "--dev", "--durability", "disk"]);
    assert!(code == 2 && error.contains("--durability") && error.contains("`fsync`"), "{error}");
    let output = longwire(&["serve", "--dev"]).env("LONGWIRE_CLIENT_PING_INTERVALL", "1s").output().unwrap();
    let (code, _, error) = outcome(&output);
    assert!(code == 2 && error.contains("did you mean LONGWIRE_CLIENT_PING_INTERVAL?"), "{error}");
    let (code, _, error) = run(&["serve", "--config", "/no/such/file"]);
    assert!(code == 2 && error.contains("/no/such/file"), "{error}");
}

#[test]
fn a_server_nobody_or_anybody_could_use_does_not_start() {
    let (code, _, error) = run(&["serve"]);
    assert!(code == 1 && error.contains("--token-key FILE") && error.contains("--dev"), "{error}");
    let (code, _, error) = run(&["serve", "--dev", "--listen", "0.0.0.0:0"]);
    assert!(code == 1 && error.contains("loopback") && error.contains("--token-key FILE"), "{error}");
    let (code, _, error) = run(&["serve", "--token-key", "x", "--durability", "fsync"]);
    assert!(
        code == 1 && error.contains("--data-dir DIR") && error.contains("--durability memory"),
        "{error}"
    );
    let short = TempFile::new("short-key", "too short\n");
    let (code, _, error) = run(&["serve", "--token-key", short.path()]);
    assert!(code == 1 && error.contains("has 9 bytes") && error.contains("at least 32"), "{error}");
    let (code, _, error) = run(&["serve", "--dev", "--cores", "8191"]);
    assert!(code == 1 && error.contains("core 8191") && error.contains("next:"), "{error}");
}

#[test]
fn gentoken_signs_what_the_server_takes() {
    let key = TempFile::new("key", "0123456789abcdef0123456789abcdef\n");
    let config = TempFile::new(
        "token.toml",
        &format!("[token]\nkey_file = {:?}\naudience = \"chat\"\nissuer = \"us\"\n", key.path()),
    );
    let arguments =
        ["gentoken", "--user", "alice", "--ttl", "90s", "--group", "a", "--group", "b", "--broadcast"];
    let (code, token, error) = run(&[&arguments[..], &["--config", config.path()]].concat());
    assert_eq!(code, 0, "{error}");
    let verifier = Verifier::from_key_file(&key.0, Some("chat"), Some("us")).unwrap();
    let claims = verifier.verify(token.trim(), Clock::new(Instant::now()).now().wall).unwrap();
    assert_eq!((claims.user.as_str(), claims.groups.len(), claims.broadcast), ("alice", 2, true));

    assert_eq!(run(&["gentoken", "--token-key", key.path()]).0, 2);
    for (flag, value) in [("--user", "a b"), ("--group", "a:b"), ("--ttl", "0s"), ("--ttl", "1")] {
        let mut arguments = vec!["gentoken", "--token-key", key.path(), flag, value];
        if flag != "--user" {
            arguments.extend(["--user", "alice"]);
        }
        let (code, _, error) = run(&arguments);
        assert!(code == 2 && error.contains(flag), "{flag} {value}: {error}");
    }
    let (code, _, error) = run(&["gentoken", "--user", "alice"]);
    assert!(code == 2 && error.contains("--token-key FILE"), "{error}");
}

#[test]
fn genconfig_and_checkconfig_fit_each_other() {
    let (code, template, _) = run(&["genconfig"]);
    assert_eq!((code, &template), (0, &toml_template()));
    assert_eq!(run(&["genconfig", "--markdown"]).1, markdown());
    let file = TempFile::new("template.toml", &template);
    let (code, out, error) = run(&["checkconfig", "--dev", "--config", file.path()]);
    assert!(code == 0 && out.starts_with("ok:") && out.contains("server.dev = true"), "{out}{error}");
    assert_eq!(run(&["checkconfig"]).0, 1);
    let wrong = TempFile::new("wrong.toml", "[server]\nlisten = 1\nlissten = 2\n");
    let (code, _, error) = run(&["checkconfig", "--config", wrong.path()]);
    assert!(code == 2 && error.contains("server.lissten") && error.contains("not an address"), "{error}");
}

#[test]
fn the_banner_names_the_real_addresses_and_sigterm_ends_with_0() {
    let mut server = Running::start(&DEV, "try");
    assert!(server.banner.contains("dev: ANYONE") && server.banner.contains("memory"), "{}", server.banner);
    assert!(!server.address("ws://").ends_with(":0"));
    assert!(TcpStream::connect(server.address("ws://")).is_ok());
    let admin = server.address("http://");
    assert!(get(&admin, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(get(&admin, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(&admin, "/metrics").contains("longwire_connections_active{shard=\"0\"}"));
    server.signal("TERM");
    assert_eq!(server.exit_code(Duration::from_secs(15)), Some(0));
}

#[test]
fn a_stopping_server_says_when_to_come_back() {
    let mut server = Running::start(&DEV, "try");
    let address = server.address("ws://");
    let stream = TcpStream::connect(&address).unwrap();
    let (mut client, _) = tungstenite::client(format!("ws://{address}/"), stream).unwrap();
    server.signal("TERM");
    let message = client.read().unwrap();
    let tungstenite::Message::Close(Some(close)) = message else { panic!("{message:?}") };
    assert_eq!(u16::from(close.code), 3000);
    assert!(close.reason.starts_with("retryAfter="), "{}", close.reason);
    while client.read().is_ok() {}
    assert_eq!(server.exit_code(Duration::from_secs(5)), Some(0));
}

#[test]
fn the_shutdown_timeout_holds_and_a_second_signal_does_not_wait_for_it() {
    let start = |timeout: &str| {
        let server = Running::start(&[&DEV[..], &["--shutdown-timeout", timeout]].concat(), "try");
        let address = server.address("ws://");
        // This client upgrades and then neither reads nor answers.
        let mut client = TcpStream::connect(&address).unwrap();
        let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13";
        write!(
            client,
            "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{key}\r\n\r\n"
        )
        .unwrap();
        assert_eq!(client.read(&mut [0; 12]).unwrap(), 12);
        server.signal("TERM");
        (server, client)
    };
    let (mut patient, _client) = start("300ms");
    assert_eq!(patient.exit_code(Duration::from_secs(5)), Some(0));
    let (mut hurried, _client) = start("1h");
    // The first signal must have been taken before the second one counts.
    let mut told = String::new();
    BufReader::new(hurried.child.stderr.take().unwrap()).read_line(&mut told).unwrap();
    assert!(told.contains("a second signal"), "{told}");
    hurried.signal("INT");
    let code = hurried.exit_code(Duration::from_secs(5));
    assert!(matches!(code, Some(0 | 130)), "{code:?}");
}

#[test]
fn ctrl_c_ends_an_echo_server() {
    let mut server = Running::start(&["echo", "--listen", "127.0.0.1:0", "--connections", "1000"], "mode");
    assert!(!server.banner.contains("admin"), "{}", server.banner);
    server.signal("INT");
    assert_eq!(server.exit_code(Duration::from_secs(15)), Some(0));
}

#[test]
fn an_address_in_use_is_named_with_what_to_do() {
    let server = Running::start(&DEV, "try");
    let clients = server.address("ws://");
    let (code, _, error) = run(&["serve", "--dev", "--listen", &clients, "--admin-listen", "off"]);
    let pid = format!("pid {}", server.child.id());
    assert!(code == 1 && error.contains(&clients) && error.contains(&pid), "{error}");
    let admin = server.address("http://");
    let (code, _, error) = run(&["serve", "--dev", "--listen", "127.0.0.1:0", "--admin-listen", &admin]);
    assert!(code == 1 && error.contains(&admin) && error.contains("--admin-listen"), "{error}");
}

#[test]
fn listen_may_be_given_several_times_and_the_banner_names_each_place() {
    let path = std::env::temp_dir().join(format!("longwire-cli-{}.sock", std::process::id()));
    let unix = format!("unix:{}", path.display());
    let mut server =
        Running::start(&[&DEV[..], &["--listen", "127.0.0.1:0", "--listen", &unix]].concat(), "try");
    assert_eq!(server.banner.matches("ws://127.0.0.1:").count(), 3, "two places and one to try");
    assert!(server.banner.contains(&unix), "{}", server.banner);
    let (code, _, error) = run(&["serve", "--dev", "--listen", &unix, "--admin-listen", "off"]);
    let pid = format!("pid {}", server.child.id());
    assert!(code == 1 && error.contains(&unix) && error.contains(&pid), "{error}");
    server.signal("TERM");
    assert_eq!(server.exit_code(Duration::from_secs(15)), Some(0));
    assert!(!path.exists());
    let (code, _, error) =
        run(&["serve", "--dev", "--listen", "127.0.0.1:0", "--listen", "wss://127.0.0.1:0"]);
    assert!(code == 2 && error.contains("tls.certificate"), "{error}");
}
