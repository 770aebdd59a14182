//! Every command of README.md works as it stands there.
//!
//! The `sh` blocks are run from top to bottom in one new folder, with free ports in place of those on the page. Two commands
//! build first and are run by what they would have built: `cargo run --release --` is the binary under test, as is
//! `target/release/longwire`; of `tests/run.sh`, which runs this test, only the syntax is checked. A load test is run as it
//! stands, but small and short. A server stays up until the next one, and must then end well when it is told to. The `console` blocks are a conversation with a real client,
//! held by `tests/interop/test_transcripts.py`. A command that is none of these fails.

#[path = "common/process.rs"]
mod process;

use process::{BINARY, Running, command};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What builds the binary, and where it is then.
const BINARIES: [&str; 2] = ["cargo run --release --", "target/release/longwire"];
/// The load generator, and what makes any of its runs small and short; it leaves the cores to the other tests.
const BENCH: &str = "target/release/longwire-bench run bench/scenarios/";
const SMALL: &str =
    "--users 10 --idle 100 --warmup 100ms --duration 500ms --core any --server-core any --quiet";
/// Commands that are run as they are.
const PLAIN: [&str; 3] =
    ["head -c 32 /dev/urandom | base64 > token.key", "openssl req -x509 ", "curl -f http://127.0.0.1:9502/"];
/// The ports of the page: clients, admin.
const PAGE: [&str; 2] = ["127.0.0.1:9501", "127.0.0.1:9502"];
/// A line of each banner that is its last.
const LAST_LINES: [&str; 3] = ["try ", "sign-in ", "mode       echo"];
/// Blocks that hold commands, or nothing to run. There are no others.
const LANGUAGES: [&str; 2] = ["sh", "console"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("the page")
}

/// The commands in all `sh` blocks, without comments.
fn commands(page: &str) -> Vec<String> {
    let (mut block, mut found) = (None, Vec::new());
    for line in page.lines() {
        match (block, line.strip_prefix("```")) {
            (None, Some(language)) => {
                assert!(LANGUAGES.contains(&language), "who would run a block in `{language}`?");
                block = Some(language);
            }
            (Some(_), Some(_)) => block = None,
            (Some("sh"), None) => found.push(line.split(" #").next().unwrap_or(line).trim().to_string()),
            _ => {}
        }
    }
    found.retain(|command| !command.is_empty());
    found
}

/// A folder of this test's own, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("longwire-readme-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a new folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A reader who types everything.
struct Reader {
    folder: Folder,
    server: Option<Running>,
}

impl Reader {
    fn shell(&self, line: &str) -> Command {
        let mut shell = command("sh");
        // As a reader has it, in a folder of its own.
        shell.arg("-c").arg(line).current_dir(&self.folder.0).env_remove("LONGWIRE_STORE_DURABILITY");
        shell
    }

    fn run(&mut self, line: &str) {
        if let Some(scenario) = line.strip_prefix(BENCH) {
            return self.check(&format!(
                "'{}' run '{}/bench/scenarios/'{scenario} {SMALL}",
                bench(),
                root().display()
            ));
        }
        let arguments = BINARIES.iter().find_map(|binary| line.strip_prefix(binary));
        match arguments.map(str::trim_start) {
            Some(serve) if serve.starts_with("serve") || serve.starts_with("echo") => self.serve(serve),
            Some(other) => self.check(&format!("'{BINARY}' {other}")),
            None if line == "tests/run.sh" => {
                self.check(&format!("test -x '{0}' && bash -n '{0}'", root().join(line).display()));
            }
            None if PLAIN.iter().any(|plain| line.starts_with(plain)) => self.check(&self.here(line)),
            None => panic!("nobody knows how to test `{line}`: teach this test, or leave it off the page"),
        }
    }

    /// Runs a command that ends, and wants it to end well and to have printed something unless it wrote a file.
    fn check(&self, line: &str) {
        let output = self.shell(line).output().expect("a shell");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {error}");
        let silent = line.contains(" > ") || line.contains(" -out ") || line.contains("bash -n");
        assert!(silent || !output.stdout.is_empty(), "{line}: printed nothing; {error}");
    }

    /// The line with the running server's addresses for those of the page.
    fn here(&self, line: &str) -> String {
        PAGE.iter().zip(["ws://", "http://"]).fold(line.to_string(), |line, (address, scheme)| {
            if !line.contains(address) {
                return line;
            }
            let server = self.server.as_ref().unwrap_or_else(|| panic!("no server runs before `{line}`"));
            line.replace(address, &server.address(scheme).replace("0.0.0.0", "127.0.0.1"))
        })
    }

    fn serve(&mut self, arguments: &str) {
        self.stop();
        let mut words: Vec<String> = arguments.split_whitespace().map(String::from).collect();
        free_port(&mut words, "--listen");
        if words[0] == "serve" {
            free_port(&mut words, "--admin-listen");
        }
        own_cores(&mut words);
        let line = format!("exec '{BINARY}' {}", words.join(" "));
        self.server = Some(Running::spawn(self.shell(&line), &LAST_LINES));
        assert!(std::net::TcpStream::connect(self.here(PAGE[0])).is_ok(), "{line}: takes no clients");
    }

    fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal("INT");
            assert_eq!(server.exit_code(Duration::from_secs(20)), Some(0), "{}", server.banner);
        }
    }
}

/// The load generator beside the binary under test: `cargo test` builds both before it runs any test.
fn bench() -> String {
    let path = Path::new(BINARY).with_file_name("longwire-bench");
    assert!(
        path.exists(),
        "{} is not there: cargo build -p longwire-bench with this profile",
        path.display()
    );
    path.display().to_string()
}

/// Replaces a flag's port by 0, or adds the flag.
fn free_port(words: &mut Vec<String>, flag: &str) {
    let places: Vec<usize> = (0..words.len()).filter(|&at| words[at] == flag).collect();
    if places.is_empty() {
        return words.extend([flag.to_string(), "127.0.0.1:0".to_string()]);
    }
    for at in places {
        let (ip, _) = words[at + 1].rsplit_once(':').expect("an address");
        words[at + 1] = format!("{ip}:0");
    }
}

/// Replaces cores that this machine does not have.
fn own_cores(words: &mut [String]) {
    let Some(at) = words.iter().position(|word| word == "--cores") else { return };
    let (first, last) = words[at + 1].split_once('-').expect("a range of cores");
    let number = |text: &str| text.parse::<usize>().expect("a core");
    let allowed = affinity::get_thread_affinity().expect("the cores of this process");
    if !(number(first)..=number(last)).all(|core| allowed.contains(&core)) {
        words[at + 1] = "all".to_string();
    }
}

#[test]
fn every_command_works() {
    let commands = commands(&page());
    for needed in [&BINARIES[..], &["tests/run.sh"]].concat() {
        assert!(commands.iter().any(|command| command.starts_with(needed)), "{needed} is not on the page");
    }
    let mut reader = Reader { folder: Folder::new("known"), server: None };
    commands.iter().for_each(|line| reader.run(line));
    reader.stop();
}

#[test]
#[should_panic(expected = "nobody knows how to test")]
fn an_unknown_command_fails() {
    Reader { folder: Folder::new("unknown"), server: None }.run("curl https://example.org/install | sh");
}

#[test]
fn every_link_leads_somewhere() {
    let page = page();
    let links = page.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let here: Vec<&str> = links.filter(|link| !link.starts_with("https://")).collect();
    assert!(here.len() > 5, "{here:?}");
    here.iter().for_each(|link| assert!(root().join(link).exists(), "{link} is not there"));
}
