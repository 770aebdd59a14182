//! docs/protocol.md has every message, field and number of the schema, every code and every limit, and none that is not there.

use longwire::ids::NAME_MAX;
use longwire::limits::{
    COST_OF_MEMBERSHIP, COST_OF_PAGE, COST_OF_SYNC, EARLY_MESSAGE_MAX, HISTORY_PAGE, HISTORY_PAGE_MAX,
    IGNORED_MAX, JSON_DEPTH_MAX, MEMBERS_PAGE, RECEIPT_MEMBERS_MAX, REQUEST_HEAD_MAX, SYNC_BYTES,
    SYNC_CONVERSATIONS, SYNC_CURSORS_MAX, SYNC_MESSAGES, UNREAD_MAX,
};
use longwire::settings::{ROWS, row};
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../docs/protocol.md");
const SCHEMA: &str = include_str!("../proto/longwire/v1/longwire.proto");
const CODES: &str = include_str!("../src/wire/codes.rs");

/// A field, or a value of an enumeration: its name, its number, and its kind where that is not `string`.
type Member = (String, u32, String);
/// Messages and enumerations by their names.
type Schema = BTreeMap<String, BTreeSet<Member>>;

/// The part of the page below a heading, up to the next one of its level or above.
fn section(heading: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let level = heading.bytes().take_while(|b| *b == b'#').count();
    let ends = (2..=level).filter_map(|level| rest.find(&format!("\n{} ", "#".repeat(level))));
    &rest[..ends.min().unwrap_or(rest.len())]
}

/// The cells of each row of the tables in `text`, without their heads.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let cells =
        |line| Some(str::strip_prefix(line, "| ")?.strip_suffix('|')?.split('|').map(str::trim).collect());
    text.lines().filter_map(cells)
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The messages and enumerations of the schema, read line by line; a word that is not understood fails.
fn schema() -> Schema {
    let (mut found, mut open) = (Schema::new(), Vec::new());
    for line in SCHEMA.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        let words: Vec<&str> = line.trim_end_matches(';').split_whitespace().collect();
        match words[..] {
            [] | ["syntax" | "package" | "option" | "reserved", ..] => {}
            ["}"] => drop(open.pop().expect("something was open")),
            ["oneof", _, "{"] => open.push(""),
            ["message" | "enum", name, "{"] => {
                found.entry(name.to_string()).or_default();
                open.push(name);
            }
            ["message" | "enum", name, "{}"] => drop(found.entry(name.to_string()).or_default()),
            [ref kind @ .., name, "=", number] => {
                let owner = open.iter().rev().find(|name| !name.is_empty()).expect("a message around");
                let kind = if *kind == ["string"] { String::new() } else { kind.join(" ") };
                let member = (name.to_string(), number.parse().expect("a number"), kind);
                assert!(found.entry(owner.to_string()).or_default().insert(member), "{line}");
            }
            _ => panic!("what is `{line}`?"),
        }
    }
    assert!(open.is_empty() && found.len() > 20, "{found:?}");
    found
}

/// The members that a cell names, each as "`name` number kind".
fn members(cell: &str) -> BTreeSet<Member> {
    let mut parts = cell.split('`').skip(1);
    let mut found = BTreeSet::new();
    while let (Some(name), Some(rest)) = (parts.next(), parts.next()) {
        // What stands between two fields: ", ", "; ", "; one of ".
        let rest = rest.split([',', ';']).next().unwrap_or_default();
        let (number, kind) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
        let number = number.parse().unwrap_or_else(|_| panic!("`{name}` has no number in {cell}"));
        assert!(found.insert((name.to_string(), number, kind.to_string())), "{name} stands twice in {cell}");
    }
    found
}

/// The name that JSON has for a field.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_string();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}

#[test]
fn every_message_and_field_is_in_the_tables() {
    let mut tables = Schema::new();
    let mut types = BTreeSet::new();
    let mut frame = "";
    for cells in rows(section("### Where everything is in the schema")) {
        match cells[..] {
            ["command" | "event", within, "message", _] => frame = quoted(within).next().expect("a frame"),
            ["part of them", ..] | ["---", ..] => {}
            ["", field, "", ""] => tables.entry(frame.into()).or_default().extend(members(field)),
            [json, kind @ ("message" | "enum"), name, fields] if !kind.starts_with('`') => {
                assert!(json.is_empty() || kind == "enum", "{name}");
                let name = quoted(name).next().expect("a name");
                assert!(tables.insert(name.into(), members(fields)).is_none(), "{name} stands twice");
            }
            [json, field, message, fields] => {
                let [json, name] = [json, message].map(|cell| quoted(cell).next().expect("a name"));
                let field = members(field).pop_first().expect("a field");
                assert_eq!(json, camel(&field.0), "JSON has another name for {}", field.0);
                assert!(types.insert((frame, json)), "{json} stands twice");
                let of_frame = tables.entry(frame.into()).or_default();
                of_frame.insert((field.0, field.1, name.into()));
                assert!(tables.insert(name.into(), members(fields)).is_none(), "{name} stands twice");
            }
            _ => panic!("a row of another table: {cells:?}"),
        }
    }
    let schema = schema();
    for (name, fields) in &schema {
        assert_eq!(tables.get(name), Some(fields), "{name}: the page, and the schema");
    }
    assert_eq!(tables.len(), schema.len(), "the page has more than the schema");
}

#[test]
fn every_command_is_explained_before() {
    let (json, _) = PAGE.split_once("\n## The binary encoding\n").expect("the section");
    let schema = schema();
    for (name, ..) in &schema["ClientFrame"] {
        let name = camel(name);
        assert!(name == "id" || json.contains(&format!("**`{name}`** – ")), "{name} is not explained");
    }
    for (name, ..) in &schema["ServerFrame"] {
        let name = camel(name);
        assert!(
            name == "id" || json.contains(&format!("{{\"type\":\"{name}\"")),
            "{name} is in no example, and not explained in any way like that"
        );
    }
}

/// The numbers in an enumeration of `codes.rs`.
fn codes(name: &str) -> BTreeSet<u32> {
    let (_, rest) = CODES.split_once(&format!("pub enum {name} {{")).expect("an enumeration");
    let (body, _) = rest.split_once('}').expect("its end");
    body.lines().filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = ")?.1.parse().ok()).collect()
}

#[test]
fn every_code_is_in_its_table() {
    for (heading, name) in [("## Errors", "ErrorCode"), ("## Close codes", "CloseCode")] {
        let cells = rows(section(heading)).map(|cells| cells[0]);
        let shown: BTreeSet<u32> =
            cells.flat_map(|cell| cell.split(", ").filter_map(|n| n.parse().ok())).collect();
        let known = codes(name);
        assert!(known.len() > 5, "{known:?}");
        assert_eq!(shown, known, "{heading}: the page, and src/wire/codes.rs");
    }
}

/// A value as settings write it: `64 KiB` is `64KiB`, `100,000` is `100000`.
fn written(value: &str) -> String {
    value.replace([',', ' '], "")
}

#[test]
fn every_setting_exists_and_has_the_default_that_is_told() {
    let (mut named, mut told) = (0, 0);
    let parts: Vec<&str> = PAGE.split('`').collect();
    for pair in parts[1..].chunks(2) {
        let [name, after] = pair else { continue };
        let section = name.split_once('.').map(|(section, _)| section);
        if !section.is_some_and(|section| ROWS.iter().any(|row| row.section() == section)) {
            continue;
        }
        let row = row(name).unwrap_or_else(|| panic!("{name} is no setting"));
        named += 1;
        // "`name`, 10 s" or "`name` (100,000)" tells a default.
        let value = after.strip_prefix(", ").or_else(|| after.strip_prefix(" ("));
        let Some(value) = value.filter(|value| value.starts_with(|c: char| c.is_ascii_digit())) else {
            continue;
        };
        let end = value.find([')', '|', ';']).unwrap_or(value.len());
        let value = value[..end].split(", and ").next().unwrap_or_default();
        // A rate also tells of what, and in which time.
        let end = [" of content", " a second", " an hour"].iter().filter_map(|words| value.find(words)).min();
        let value = &value[..end.unwrap_or(value.len())];
        assert_eq!(written(value), row.default, "{name}");
        told += 1;
    }
    assert!(named > 15 && told > 10, "{named} settings, {told} defaults");
    for cells in rows(section("## Limits")) {
        let is_told = |name: &str| cells[1].contains(&format!("`{name}`, "));
        assert!(quoted(cells[1]).all(is_told), "a setting without its default: {cells:?}");
    }
}

#[test]
fn limits_that_are_no_settings_are_told() {
    let kib = |setting| -> Option<u32> { row(setting)?.default.strip_suffix("KiB")?.parse().ok() };
    let message = kib("message.size_limit").expect("KiB");
    let sync = SYNC_BYTES / 1024;
    assert!(sync > 6 * message as usize + 2, "a page of `sync` is the largest message");
    let limits: Vec<String> = rows(section("## Limits")).map(|cells| cells[1].to_string()).collect();
    for limit in [
        format!("{JSON_DEPTH_MAX}"),
        format!("{NAME_MAX} bytes"),
        format!("{HISTORY_PAGE_MAX} messages a page"),
        format!("{MEMBERS_PAGE} names a page"),
        format!("{} KiB", EARLY_MESSAGE_MAX / 1024),
        format!("`client.head_size_limit`, {} KiB", REQUEST_HEAD_MAX / 1024),
        format!("{sync} KiB"),
        format!(
            "{SYNC_CONVERSATIONS} conversations a page, {SYNC_MESSAGES} messages of each, {sync} KiB together"
        ),
        format!("{SYNC_CURSORS_MAX}"),
        format!("{RECEIPT_MEMBERS_MAX}"),
    ] {
        assert!(limits.contains(&limit), "{limit} is not in {limits:?}");
    }
    let page = [
        format!("1 to {NAME_MAX} bytes"),
        format!("nested at most {JSON_DEPTH_MAX} deep"),
        format!("(default {HISTORY_PAGE}; more is taken as {HISTORY_PAGE_MAX})"),
        format!("the default of {HISTORY_PAGE}"),
        format!("up to {MEMBERS_PAGE} `users`"),
        format!("`history` and `members` count as {COST_OF_PAGE} messages"),
        format!("`sync` as {COST_OF_SYNC}"),
        format!("`leaveGroup` as {COST_OF_MEMBERSHIP}."),
        format!("up to {SYNC_CONVERSATIONS} of the conversations"),
        format!("Up to {SYNC_CURSORS_MAX} cursors"),
        format!("behind that; {UNREAD_MAX} when it is more"),
        format!("like live ones: {SYNC_MESSAGES}, or fewer"),
        format!("no larger than {sync} KiB"),
        format!("a group of up to {RECEIPT_MEMBERS_MAX}"),
        format!("after {IGNORED_MAX} that were refused in a row"),
    ];
    page.iter().for_each(|said| assert!(PAGE.contains(said), "the page does not say: {said}"));
}
