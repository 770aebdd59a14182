//! A value comes from the flag, else the variable, else the file, else the default; what is unknown or absurd is refused by name.

use longwire::limits::{MESSAGE_MAX, MESSAGE_STORED_MAX};
use longwire::settings::{ROWS, Settings, Sources, markdown, row, toml_template};
use std::collections::HashSet;
use std::time::Duration;

fn pair(key: &str, value: &str) -> Vec<(String, String)> {
    vec![(key.into(), value.into())]
}

fn file(text: &str) -> Option<(String, String)> {
    Some(("longwire.toml".into(), text.into()))
}

fn problems(sources: &Sources) -> String {
    sources.load().expect_err("these sources are wrong").to_string()
}

#[test]
fn the_nearest_source_decides() {
    let mut sources = Sources::default();
    assert_eq!(sources.load().unwrap().client_ping_interval, Duration::from_secs(25));
    sources.file = file("[client]\nping_interval = \"1s\"\n");
    assert_eq!(sources.load().unwrap().client_ping_interval, Duration::from_secs(1));
    sources.variables = pair("LONGWIRE_CLIENT_PING_INTERVAL", "2s");
    assert_eq!(sources.load().unwrap().client_ping_interval, Duration::from_secs(2));
    sources.flags = pair("client.ping_interval", "3s");
    assert_eq!(sources.load().unwrap().client_ping_interval, Duration::from_secs(3));
}

#[test]
fn a_file_may_use_the_types_of_toml() {
    let text = "[server]\ncores = [0, 2]\nconnection_limit = 5_000\ndev = true\n[client]\n\
                allowed_origins = [\"https://a.example\", \"http://b.example:81\"]\nqueue_max_size = 1048576\n";
    let settings = Sources { file: file(text), ..Sources::default() }.load().unwrap();
    assert_eq!(settings.server_connection_limit, 5000);
    assert_eq!(settings.client_allowed_origins, ["https://a.example", "http://b.example:81"]);
    assert!(settings.server_dev && settings.groups_are_open());
}

#[test]
fn groups_are_open_as_set_or_in_dev() {
    assert!(!Settings::default().groups_are_open());
    assert!(Settings::with([("group.open", "true")]).unwrap().groups_are_open());
    assert!(Settings::with([("server.dev", "true")]).unwrap().groups_are_open());
    assert!(!Settings::with([("server.dev", "true"), ("group.open", "false")]).unwrap().groups_are_open());
}

#[test]
fn what_is_unknown_is_refused_with_the_nearest_name() {
    let text = problems(&Sources { file: file("[client]\nping_intervall = \"1s\"\n"), ..Sources::default() });
    assert!(
        text.contains("client.ping_intervall in longwire.toml; did you mean client.ping_interval?"),
        "{text}"
    );
    let text = problems(&Sources { file: file("dev = true\n"), ..Sources::default() });
    assert!(text.contains("no setting is called dev in longwire.toml"), "{text}");
    let text = problems(&Sources { variables: pair("LONGWIRE_SERVER_LISTN", "x"), ..Sources::default() });
    assert!(text.contains("did you mean LONGWIRE_SERVER_LISTEN?"), "{text}");
    let text = problems(&Sources { file: file("[client\n"), ..Sources::default() });
    assert!(text.contains("longwire.toml is not valid TOML"), "{text}");
}

#[test]
fn other_variables_are_nobodys_business() {
    let variables = [pair("PATH", "/bin"), pair("LONGWIRE_CONFIG", "x"), pair("LONGWIREX", "y")].concat();
    assert!(Sources { variables, ..Sources::default() }.load().is_ok());
}

#[test]
fn every_problem_is_told_at_once_and_names_its_source() {
    let sources = Sources {
        flags: pair("client.ping_interval", "25"),
        variables: pair("LONGWIRE_SERVER_CORES", "x"),
        file: file("[message]\nsize_limit = 0\n[server]\nlisten = 1.5\n"),
    };
    let text = problems(&sources);
    for part in [
        "--heartbeat: `25` is not a duration",
        "LONGWIRE_SERVER_CORES: `x` is not a list of cores",
        "message.size_limit in longwire.toml: `0` is out of range; it must be 1B to 64MiB",
        "server.listen in longwire.toml: the value must be of kind address",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn contradictions_are_refused() {
    for (key, value, says) in [
        ("message.size_limit", "64KiB", "below websocket.message_size_limit"),
        ("websocket.message_size_limit", "2MiB", "client.queue_max_size must be at least"),
        ("group.event_max_members", "100000", ""),
        ("group.max_members", "99", "group.event_max_members"),
        ("server.admin_listen", "127.0.0.1:9501", "another address"),
        ("server.listen", "unix:/run/x, 127.0.0.1:9502", "another address"),
        ("server.listen", "127.0.0.1:1,[::1]:1,unix:/run/x,127.0.0.1:0", ""),
        ("server.listen", "127.0.0.1:1,wss://127.0.0.1:2", "needs tls.certificate"),
        ("server.listen", "127.0.0.1:1?proxy=v2", ""),
        ("proxy.trusted", "10.0.0.0/8,x", "names `x`"),
        ("tls.certificate", "/x.pem", "go together"),
        ("tls.key", "/x.pem", "go together"),
        ("server.cores", "0-64", "more than 64"),
        ("store.data_dir", "/x", ""),
        ("store.durability", "disk", "is none of"),
        ("client.allowed_origins", "example.org", "scheme and a host"),
        ("client.allowed_origins", "https://example.org/chat", "scheme and a host"),
    ] {
        let loaded = Settings::with([(key, value)]);
        match loaded {
            Ok(_) => assert!(says.is_empty(), "{key} = {value} was taken"),
            Err(error) => assert!(!says.is_empty() && error.to_string().contains(says), "{key}: {error}"),
        }
    }
}

#[test]
fn who_may_sign_in_is_settled_before_the_start() {
    let check = |pairs: &[(&str, &str)]| Settings::with(pairs.iter().copied()).unwrap().check_sign_in();
    assert!(check(&[]).unwrap_err().contains("--token-key FILE"));
    assert!(check(&[("server.dev", "true")]).is_ok());
    assert!(check(&[("server.dev", "true"), ("server.listen", "[::1]:1,unix:/run/x")]).is_ok());
    assert!(
        check(&[("server.dev", "true"), ("server.listen", "[::1]:1,[::]:2")]).unwrap_err().contains("[::]:2")
    );
    assert!(
        check(&[("server.dev", "true"), ("server.listen", "0.0.0.0:1")]).unwrap_err().contains("127.0.0.1")
    );
    assert!(check(&[("token.key_file", "k"), ("server.listen", "0.0.0.0:1")]).is_ok());
}

#[test]
fn where_messages_are_kept_is_settled_before_the_start() {
    let with = |pairs: &[(&str, &str)]| Settings::with(pairs.iter().copied()).unwrap();
    let check = |pairs: &[(&str, &str)]| with(pairs).check_store();
    assert!(check(&[]).unwrap_err().contains("--data-dir DIR"));
    assert!(check(&[("store.durability", "memory")]).is_ok());
    assert!(check(&[("store.durability", "os"), ("store.data_dir", "/x")]).is_ok());
    let both = check(&[("store.durability", "memory"), ("store.data_dir", "/x")]).unwrap_err();
    assert!(both.contains("/x") && both.contains("leave --durability memory out"), "{both}");
    assert_eq!(with(&[("server.dev", "true")]).data_dir(), Some("longwire-data".into()));
    assert_eq!(with(&[("server.dev", "true"), ("store.data_dir", "/x")]).data_dir(), Some("/x".into()));
    assert_eq!(with(&[("store.durability", "memory"), ("store.data_dir", "/x")]).data_dir(), None);
}

#[test]
fn the_largest_message_that_can_be_set_is_one_that_can_be_stored() {
    let large = |size, durability| {
        let sizes = [("message.size_limit", size), ("websocket.message_size_limit", "8MiB")];
        let queues = [("client.queue_max_size", "8MiB"), ("store.durability", durability)];
        Settings::with([sizes, queues].concat())
    };
    assert!(large("1020KiB", "fsync").is_ok());
    assert!(large("1021KiB", "fsync").unwrap_err().to_string().contains("at most 1020KiB"));
    assert!(large("2MiB", "memory").is_ok());
    assert_eq!(MESSAGE_STORED_MAX, 1020 << 10);
}

#[test]
fn every_row_is_well_formed() {
    let defaults = Settings::default();
    let mut names = HashSet::new();
    for row in ROWS {
        let mut settings = defaults.clone();
        assert_eq!((row.set)(&mut settings, &(row.show)(&defaults)), Ok(()), "{}", row.key);
        assert_eq!(settings, defaults, "{} does not read what it shows", row.key);
        assert!(row.help.ends_with('.') && row.key.split('.').count() == 2, "{}", row.key);
        for bound in row.range.iter().flat_map(|(low, high)| [low, high]) {
            assert_eq!((row.set)(&mut settings, bound), Ok(()), "{}: {bound}", row.key);
        }
        assert!(names.insert(row.flag()) && names.insert(row.variable()), "{}", row.key);
        assert!(
            row.alias.is_none_or(|alias| alias == row.flag() || names.insert(alias.into())),
            "{}",
            row.key
        );
    }
    assert_eq!(defaults.contradictions(), Vec::<String>::new());
}

#[test]
fn the_template_is_the_defaults_and_names_every_key() {
    let uncommented: String = toml_template()
        .lines()
        .filter(|line| !line.starts_with("# "))
        .map(|line| format!("{}\n", line.trim_start_matches('#')))
        .collect();
    let settings = Sources { file: file(&uncommented), ..Sources::default() }.load().unwrap();
    assert_eq!(settings, Settings::default());
}

#[test]
fn the_reference_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let current = std::fs::read_to_string(path).unwrap_or_default();
    assert!(current == markdown(), "run: cargo run -- genconfig --markdown > docs/configuration.md");
}

#[test]
fn what_the_cores_share_is_enough_for_each() {
    let of = |all| Settings::with([("client.queues_max_size", all)]).expect("it is enough for one core");
    assert_eq!(of("16MiB").check_shares(16), Ok(()));
    let problem = of("16MiB").check_shares(64).expect_err("a core's part is smaller than one queue");
    assert_eq!(
        problem,
        "client.queues_max_size is 16MiB, of which each of 64 cores has its part: less than one queue of \
         client.queue_max_size, 1MiB; set it to 64MiB at least, or run on fewer cores"
    );
    assert_eq!(Settings::default().check_shares(64), Ok(()));
}

#[test]
fn the_largest_message_that_can_be_set_is_one_that_can_be_received() {
    let (_, most) = row("websocket.message_size_limit").expect("a row").range.expect("a range");
    assert_eq!(most, format!("{}MiB", MESSAGE_MAX >> 20));
}
