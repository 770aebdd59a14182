//! The house rules that a compiler does not hold: who may know whom, where unsafe code may stand, how long a file may be.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// No file is longer (lines); the median file is much shorter.
const FILE_LINES_MAX: usize = 600;
const MEDIAN_LINES_MAX: usize = 200;

/// A module, what of the project it may know (`wire::CloseCode`: that item only), and which crates it may use.
/// A module that is not here may not exist; `*` is everything.
const HOUSE: &[(&str, &[&str], &[&str])] = &[
    ("main", &["cli"], &[]),
    ("lib", &["*"], &[]),
    (
        "cli",
        &[
            "admin",
            "auth",
            "clock",
            "durability",
            "ids",
            "net::endpoint",
            "net::tls",
            "settings",
            "shard",
            "store",
            "tune",
        ],
        &["affinity", "clap", "serde_json", "tokio"],
    ),
    ("ids", &[], &["arrayvec", "compact_str"]),
    ("limits", &[], &[]),
    ("clock", &["ids"], &[]),
    ("claims", &["ids"], &[]),
    ("durability", &[], &[]),
    ("frame", &[], &[]),
    ("slab", &[], &[]),
    ("meter", &["limits"], &[]),
    ("route", &["ids"], &["siphasher"]),
    ("metrics", &["ids"], &["hdrhistogram"]),
    (
        "settings",
        &["durability", "ids", "limits", "net::endpoint"],
        &["clap", "humantime", "ipnet", "strsim", "toml"],
    ),
    ("auth", &["claims", "clock", "ids"], &["jsonwebtoken", "serde"]),
    (
        "tune",
        &[
            "ids::PARTITIONS",
            "limits::ACCEPT_BACKLOG",
            "limits::RING_SLOTS_MAX",
            "net::capacity",
            "net::endpoint",
        ],
        &["serde"],
    ),
    ("admin", &["ids", "metrics", "settings"], &["axum", "prometheus_client", "tokio"]),
    (
        "wire",
        &["durability", "frame::ENCODINGS", "ids", "limits"],
        &["buffa", "compact_str", "data_encoding", "itoa", "memchr", "serde", "serde_json", "simdutf8"],
    ),
    ("log", &["durability", "ids", "limits", "wire"], &["flume", "hashbrown", "rustix", "xxhash_rust"]),
    (
        "view",
        &["ids", "limits", "log", "slab", "wire"],
        &["compact_str", "fjall", "hashbrown", "siphasher", "xxhash_rust"],
    ),
    (
        "store",
        &["clock::EPOCH_2020", "ids", "limits", "log", "metrics::StoreLevels", "route", "view", "wire"],
        &[
            "affinity",
            "data_encoding",
            "flume",
            "ioprio",
            "rustix",
            "serde",
            "serde_json",
            "siphasher",
            "toml",
        ],
    ),
    (
        "chat",
        &[
            "claims",
            "clock::EPOCH_2020",
            "clock::Now",
            "frame",
            "ids",
            "limits",
            "log",
            "meter",
            "metrics::Counter",
            "metrics::Counters",
            "route",
            "slab",
            "view",
            "wire",
        ],
        &["hashbrown", "siphasher"],
    ),
    (
        "net",
        &["frame", "ids", "limits", "meter", "metrics", "slab", "wire::CloseCode"],
        &[
            "flate2",
            "httparse",
            "io_uring",
            "ipnet",
            "itoa",
            "libc",
            "memchr",
            "percent_encoding",
            "ppp",
            "rustix",
            "rustls",
            "simdutf8",
            "socket2",
            "tungstenite",
            "x509_cert",
        ],
    ),
    ("shard", &["*"], &["affinity", "compact_str", "flume", "glommio", "hashbrown", "libc", "rustix"]),
];

/// Modules that do no I/O, wait for nothing and read no clock: design decision "the rules do no I/O".
const PURE: &[&str] =
    &["ids", "limits", "claims", "durability", "frame", "slab", "meter", "route", "wire", "chat", "metrics"];
/// What a pure module may not even name.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "Instant",
    "SystemTime",
    "Mutex",
    "RwLock",
    "Condvar",
    "TcpStream",
    "TcpListener",
    "File",
    "OpenOptions",
    "sleep",
    "spawn",
    "println",
    "eprintln",
];

/// The smallest files that can hold the odd parts. (A test may count allocations with an allocator of its own.)
const UNSAFE: &[&str] = &["src/net/ring/", "src/net/mask.rs", "src/shard/host.rs"];

fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// Every Rust file below `folder`: its path from the root, and its text.
fn files(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = root();
    let mut found = Vec::new();
    walk(&root.join(folder), &mut found);
    found.sort();
    let text = |path: &PathBuf| {
        let name = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("a source file is UTF-8"))
    };
    found.iter().map(text).collect()
}

/// Where a file of `src` stands: `src/net/ring/mod.rs` is `[net, ring]`.
fn place(path: &str) -> Vec<&str> {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    inner.split('/').collect()
}

/// Files of `src` without those that a `#[cfg(test)] mod name;` declares, and whatever is below them.
fn shipped() -> Vec<(String, String)> {
    let mut all = files("src");
    let mut tests = Vec::new();
    for (path, text) in &all {
        for declared in text.split("#[cfg(test)]\nmod ").skip(1) {
            let name = declared.split([';', ' ']).next().unwrap_or("");
            tests.push([place(path).join("/"), name.to_string()].join("/"));
        }
    }
    let below = |path: &str, test: &String| {
        place(path).join("/").strip_prefix(test).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    all.retain(|(path, _)| !tests.iter().any(|test| below(path, test)));
    all
}

/// A line without its strings and its comment.
fn code(line: &str) -> String {
    let mut code = String::new();
    let mut quoted = false;
    let mut before = ' ';
    for c in line.replace(r"\\", "").chars() {
        match c {
            '"' if before != '\\' && before != '\'' => quoted = !quoted,
            '/' if before == '/' && !quoted => break,
            _ if !quoted => code.push(c),
            _ => {}
        }
        before = c;
    }
    code
}

/// Words and signs, without strings, comments and the test module at a file's end.
fn tokens(text: &str) -> Vec<String> {
    let end = text.find("#[cfg(test)]\nmod ").filter(|at| text[*at..].contains('{')).unwrap_or(text.len());
    let mut tokens = Vec::new();
    for line in text[..end].lines() {
        let code = code(line);
        let mut word = String::new();
        let mut chars = code.chars().peekable();
        while let Some(c) = chars.next() {
            if c.is_alphanumeric() || c == '_' {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                tokens.push(std::mem::take(&mut word));
            }
            if c == ':' && chars.peek() == Some(&':') {
                chars.next();
                tokens.push("::".into());
            } else if !c.is_whitespace() {
                tokens.push(c.into());
            }
        }
        if !word.is_empty() {
            tokens.push(word);
        }
    }
    tokens
}

/// The paths that a use tree at `at` names, two words deep, and where it ends.
fn tree(tokens: &[String], at: usize, before: &str, found: &mut BTreeSet<String>) -> usize {
    let word = |i: usize| tokens.get(i).map_or("", String::as_str);
    if word(at) == "{" {
        let mut next = at + 1;
        while !matches!(word(next), "}" | "") {
            next = if word(next) == "," { next + 1 } else { tree(tokens, next, before, found) };
        }
        return next + 1;
    }
    let path = match before {
        "" => word(at).to_string(),
        _ if word(at) == "self" || before.contains("::") => before.to_string(),
        _ => format!("{before}::{}", word(at)),
    };
    if word(at + 1) == "::" {
        return tree(tokens, at + 2, &path, found);
    }
    found.insert(path);
    // `name as other` ends here as well.
    if word(at + 1) == "as" { at + 3 } else { at + 1 }
}

/// What a file names of the project (`module` or `module::item`) and which crates it uses.
fn known(path: &str, text: &str, crates: &BTreeSet<String>) -> (BTreeSet<String>, BTreeSet<String>) {
    let tokens = tokens(text);
    let depth = place(path).len();
    let (mut inner, mut outer) = (BTreeSet::new(), BTreeSet::new());
    for (i, token) in tokens.iter().enumerate() {
        let starts = tokens.get(i + 1).is_some_and(|t| t == "::")
            && (i == 0 || !["::", "$"].contains(&&*tokens[i - 1]));
        if !starts {
            continue;
        }
        // As many `super` as the file is deep lead to the root, like `crate`.
        let supers = tokens[i..].chunks(2).take_while(|pair| pair[0] == "super").count();
        if token == "crate" || supers == depth {
            tree(&tokens, i + 2 * supers.max(1), "", &mut inner);
        } else if crates.contains(token) {
            outer.insert(token.clone());
        }
    }
    (inner, outer)
}

/// The dependencies of the package, as code spells them.
fn dependencies() -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let manifest: toml::Table = manifest.parse().expect("the manifest is TOML");
    let section =
        |name: &str| manifest[name].as_table().expect("a table").keys().cloned().collect::<Vec<_>>();
    [section("dependencies"), section("dev-dependencies")]
        .concat()
        .iter()
        .map(|n| n.replace('-', "_"))
        .collect()
}

fn report(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n  {}", faults.join("\n  "));
}

#[test]
fn modules_know_only_what_the_house_allows() {
    let crates = dependencies();
    let mut faults = Vec::new();
    for (path, text) in shipped() {
        let module = place(&path)[0];
        let Some((_, inner, outer)) = HOUSE.iter().find(|(name, ..)| *name == module) else {
            faults.push(format!("{path}: `{module}` has no line in the table of tests/tidy.rs"));
            continue;
        };
        let (knows, uses) = known(&path, &text, &crates);
        let allowed = |name: &str| {
            let head = name.split("::").next().unwrap_or(name);
            // A macro or constant of the root itself has no module to hide behind.
            head == module || inner.iter().any(|rule| ["*", head, name].contains(rule))
        };
        faults.extend(
            knows.iter().filter(|name| !allowed(name)).map(|name| format!("{path} may not know {name}")),
        );
        faults.extend(
            uses.iter().filter(|n| !outer.contains(&n.as_str())).map(|n| format!("{path} may not use {n}")),
        );
    }
    report("the import table is broken", &faults);
}

#[test]
fn the_rules_do_no_io_and_read_no_clock() {
    let mut faults = Vec::new();
    for (path, text) in shipped().into_iter().filter(|(path, _)| PURE.contains(&place(path)[0])) {
        let tokens = tokens(&text);
        faults.extend(
            IMPURE.iter().filter(|word| tokens.iter().any(|t| t == *word)).map(|w| format!("{path}: {w}")),
        );
        for std_module in ["net", "thread", "fs", "process", "env"] {
            let named = tokens.windows(3).any(|w| w[0] == "std" && w[1] == "::" && w[2] == std_module);
            faults.extend(named.then(|| format!("{path}: std::{std_module}")));
        }
    }
    report("a pure module names what it must not", &faults);
}

#[test]
fn every_module_says_what_it_does_and_does_not_know() {
    let mut faults = Vec::new();
    for (path, text) in shipped() {
        let header: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        // A folder's own file and a module without a folder speak for the module.
        let speaks = path.ends_with("/mod.rs") || place(&path).len() == 1 && path != "src/lib.rs";
        if speaks && !header.contains("now") {
            faults.push(format!("{path}: its header does not say what it knows or does not know"));
        }
    }
    for (path, text) in [shipped(), files("tests"), files("bench")].concat() {
        faults.extend((!text.starts_with("//!")).then(|| format!("{path}: its first line is no `//!`")));
    }
    report("headers", &faults);
}

#[test]
fn files_are_short() {
    let all = [files("src"), files("tests"), files("bench")].concat();
    let mut lengths: Vec<usize> = all.iter().map(|(_, text)| text.lines().count()).collect();
    lengths.sort_unstable();
    let long = all.iter().filter(|(_, text)| text.lines().count() > FILE_LINES_MAX);
    report("over 600 lines", &long.map(|(path, _)| path.clone()).collect::<Vec<_>>());
    assert!(lengths[lengths.len() / 2] <= MEDIAN_LINES_MAX, "the median file has grown too long");
}

#[test]
fn unsafe_code_stays_in_the_smallest_files() {
    let mut faults = Vec::new();
    for (path, text) in [files("src"), files("bench/src")].concat() {
        let allows = text.contains(concat!("allow(unsafe", "_code)"));
        let listed = UNSAFE.iter().any(|place| path.starts_with(place));
        faults.extend((allows && !listed).then(|| format!("{path} allows unsafe code")));
    }
    report("unsafe code", &faults);
}

#[test]
fn no_test_is_switched_off() {
    let mut faults = Vec::new();
    for (path, text) in [files("src"), files("tests"), files("bench")].concat() {
        faults.extend(text.contains(concat!("#[ig", "nore")).then(|| path.clone()));
    }
    report("ignored tests", &faults);
}

#[test]
fn this_test_sees_what_it_should() {
    let crates = ["flume".to_string(), "serde_json".to_string()].into();
    let text = "//! x\nuse crate::{ids::{A, B as C}, log::{self, memory::M}};\nfn f() { crate::wire::json::g(); \
                super::clock::now(); super::sibling(); flume::bounded(1); x::flume::y }\n// crate::chat\n\
                #[cfg(test)]\nmod tests { use crate::net::Z; }\n";
    let (inner, outer) = known("src/admin/mod.rs", text, &crates);
    let expected = ["clock::now", "ids::A", "ids::B", "log", "log::memory", "sibling", "wire::json"];
    assert_eq!(inner.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert_eq!(outer.iter().map(String::as_str).collect::<Vec<_>>(), ["flume"]);
    let (inner, _) = known(
        "src/net/ring/buffers.rs",
        "use super::super::frame::X; use super::super::super::log::Y;",
        &crates,
    );
    assert_eq!(inner.into_iter().collect::<Vec<_>>(), ["log::Y"]);
}
