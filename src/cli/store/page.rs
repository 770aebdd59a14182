//! What `longwire store` found, in words. Knows no store's files.

use crate::ids::ConversationId;
use crate::store::{Checked, Deleted, Exported, Found, Imported, Rebuilt, Stats};
use std::fmt::Write;

/// Lines of a name and a text below it.
struct Page(String);

impl Page {
    fn line(&mut self, name: &str, text: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{name:<15}{text}");
    }
}

fn bytes(count: u64) -> String {
    match count {
        0..10_240 => format!("{count} B"),
        10_240..10_485_760 => format!("{} KiB", count >> 10),
        10_485_760..10_737_418_240 => format!("{} MiB", count >> 20),
        _ => format!("{} GiB", count >> 30),
    }
}

fn log(page: &mut Page, log: &Found) {
    let (mut commits, mut records, mut used) = (0, 0, 0);
    for piece in &log.segments {
        (commits, records, used) = (commits + piece.commits, records + piece.records, used + piece.used);
    }
    let segments = log.segments.len();
    page.line(
        "log",
        format!("{records} records in {commits} commits, {} in {segments} segments", bytes(used)),
    );
    page.line("last record", log.head().0);
    if let Some(torn) = &log.cut {
        let (file, offset, bytes) = (torn.file.display(), torn.offset, torn.bytes);
        page.line("", format!("{file} ends with half a commit: {bytes} bytes from byte {offset} on;"));
        page.line("", "nobody was told that it is stored, and the next start cuts it off");
    } else if let Some(short) = &log.short {
        let (file, made, is) = (short.file.display(), short.made, short.is);
        page.line("", format!("{file} has {is} of the {made} bytes it was made with;"));
        let lost = if log.has_end() { "nothing stood behind them" } else { "what stood behind them is lost" };
        page.line("", format!("{lost}, and the next start gives the file its size again"));
    } else if !log.has_end() {
        page.line("", "its server was killed; nothing at its end is torn");
    }
}

/// What was deleted.
pub(super) fn deleted(conversation: &ConversationId, done: &Deleted) -> String {
    format!(
        "{conversation} is deleted: its messages up to seq {}, {} memberships, where everyone had read to",
        done.head.0, done.members
    )
}

/// What a check found.
pub(super) fn checked(found: &Checked) -> String {
    let mut page = Page(String::new());
    if let Some(whole) = &found.log {
        log(&mut page, whole);
        let behind = whole.head().0.saturating_sub(found.applied.0);
        page.line(
            "view",
            format!("made of records up to {}; a start applies {behind} more", found.applied.0),
        );
    }
    let (conversations, messages, members) = (found.conversations, found.messages, found.members);
    page.line("", format!("{conversations} conversations, {messages} messages, {members} memberships"));
    for fault in &found.faults {
        page.line("FAULT", format!("{}\n  next: {}", fault.what, fault.next));
    }
    let untold = found.faults_found - found.faults.len() as u64;
    if untold > 0 {
        page.line("", format!("and {untold} more"));
    }
    if found.faults_found == 0 {
        page.line("ok", "everything is as it was written");
    }
    page.0
}

/// What is in a store.
pub(super) fn stats(stats: &Stats) -> String {
    let mut page = Page(String::new());
    let content = bytes(stats.content_bytes);
    page.line("messages", format!("{} with {content} of content", stats.messages));
    page.line("conversations", format!("{} private, {} of groups", stats.privates, stats.groups));
    page.line("users", stats.users);
    page.line("groups", format!("{} with {} memberships", stats.groups_with_members, stats.memberships));
    log(&mut page, &stats.log);
    page.line("", format!("its files take {}", bytes(stats.log_bytes)));
    let behind = stats.log.head().0.saturating_sub(stats.applied.0);
    page.line("view", format!("made of records up to {}; a start applies {behind} more", stats.applied.0));
    page.line("", format!("its files take {}", bytes(stats.view_bytes)));
    for (part, size) in stats.parts.iter().filter(|(_, size)| *size > 0) {
        page.line("", format!("{part} {}", bytes(*size)));
    }
    for (n, large) in stats.largest.iter().enumerate() {
        let text = format!("{} with {} messages, {}", large.conversation, large.messages, bytes(large.bytes));
        page.line(if n == 0 { "largest" } else { "" }, text);
    }
    for (n, (members, group)) in stats.most_members.iter().enumerate() {
        page.line(if n == 0 { "most members" } else { "" }, format!("g:{group} with {members}"));
    }
    page.0
}

/// What was exported.
pub(super) fn exported(done: &Exported) -> String {
    let Exported { conversations, messages, members, cursors, position } = done;
    format!(
        "exported {conversations} conversations, {messages} messages, {members} memberships, {cursors} cursors: all up to record {}",
        position.0
    )
}

/// What was imported.
pub(super) fn imported(done: &Imported) -> String {
    let Imported { conversations, messages, members, cursors } = done;
    format!(
        "imported {conversations} conversations, {messages} messages, {members} memberships, {cursors} cursors"
    )
}

/// What a view was made of.
pub(super) fn rebuilt(done: &Rebuilt) -> String {
    let Rebuilt { messages, applied, lost, old } = done;
    let mut text = format!("made anew of {messages} messages of the export and {applied} records of the log");
    if *lost > 0 {
        let _ = write!(text, "; {lost} records are lost");
    }
    let _ = write!(
        text,
        "\n  the view before it is in {}; remove it when `longwire store check` has said ok",
        old.display()
    );
    text
}
