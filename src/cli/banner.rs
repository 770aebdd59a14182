//! What a started server tells: where it is, what it runs on, how much it holds and what it promises. Knows no server.

use crate::durability::Durability;
use crate::net::endpoint::Endpoint;
use crate::settings::{Settings, Value};
use crate::shard::AppKind;
use crate::store::{Cut, Report};
use std::fmt::Write;
use std::net::SocketAddr;

/// What is to be told.
pub(super) struct Facts<'a> {
    pub(super) listens_on: &'a [Endpoint],
    pub(super) admin: Option<SocketAddr>,
    pub(super) cores: &'a [usize],
    /// How many connections fit, and why not more.
    pub(super) capacity: String,
    pub(super) settings: &'a Settings,
    pub(super) app: AppKind,
    /// What was found where messages are kept.
    pub(super) report: Option<&'a Report>,
}

/// The whole banner.
pub(super) fn text(facts: &Facts) -> String {
    let mut page = format!("longwire {} is ready\n", env!("CARGO_PKG_VERSION"));
    let mut line = |name: &str, text: String| {
        let _ = writeln!(page, "  {name:<11}{text}");
    };
    for (n, endpoint) in facts.listens_on.iter().enumerate() {
        line(
            if n == 0 { "clients" } else { "" },
            format!("{}{}", endpoint.url(), if endpoint.proxy { " behind a proxy (PROXY v2)" } else { "" }),
        );
    }
    if let Some(admin) = facts.admin {
        line("admin", format!("http://{admin} (/metrics, /healthz, /readyz)"));
        if !admin.ip().is_loopback() {
            line("", "WARNING: anyone who reaches the admin address can read it; it has no password".into());
        }
    }
    line("cores", format!("{} (one shard each)", super::cores::list(facts.cores)));
    line("capacity", facts.capacity.clone());
    match facts.app {
        AppKind::Chat => chat_lines(facts, &mut line),
        AppKind::Echo => line("mode", "echo: every message goes back to its sender".into()),
    }
    page
}

/// What an ack proves.
fn promise(settings: &Settings) -> String {
    let durability = settings.store_durability;
    let name = durability.name();
    match durability {
        Durability::Fsync => format!("{name}: a message is on the disk before it is acknowledged"),
        Durability::Os => format!("{name}: an acknowledged message outlives the server, not a loss of power"),
        Durability::Memory => {
            let kept = settings.store_memory_max_bytes.show();
            format!("{name}: the newest {kept} of messages, until the server stops")
        }
    }
}

/// What was found besides what a server leaves that stops in good order.
fn found(report: &Report) -> Vec<String> {
    let mut found = Vec::new();
    if report.replayed > 0 {
        found.push(format!("read {} records from the log into the view", report.replayed));
    }
    if let Some(Cut { file, offset, bytes }) = &report.cut {
        found.push(format!(
            "cut off {bytes} bytes of a commit that was not finished, at byte {offset} of {}",
            file.display()
        ));
    }
    found
}

fn chat_lines(facts: &Facts, line: &mut impl FnMut(&str, String)) {
    let settings = facts.settings;
    line("durability", promise(settings));
    if let (Some(folder), Some(report)) = (settings.data_dir(), facts.report) {
        line("data", format!("{} ({} records)", folder.display(), report.head.0));
        found(report).into_iter().for_each(|what| line("", what));
    }
    if settings.server_dev {
        line("mode", "dev: ANYONE on this machine signs in by name, without a password".into());
        let auth = r#"{"type":"auth","username":"alice"}"#;
        let plain = |endpoint: &&Endpoint| !endpoint.tls && !endpoint.proxy && endpoint.address().is_some();
        if let Some(endpoint) = facts.listens_on.iter().find(plain) {
            line("try", format!("npx wscat -c {}   then type   {auth}", endpoint.url()));
        }
    } else {
        line("sign-in", "by token; `longwire gentoken --user NAME --token-key FILE` makes one".into());
    }
}
