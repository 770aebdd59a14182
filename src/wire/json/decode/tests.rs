//! Every command read, every refusal worded.

use super::*;
use crate::limits::SYNC_CURSORS_MAX;
use crate::wire::reasons::{CURSOR_TWICE, MANY_CURSORS};

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

fn command(text: &str) -> Command<'_> {
    let request = decode(text.as_bytes()).unwrap();
    assert_eq!(request.id, None, "{text}");
    request.command
}

/// The reason, `for` and `id` of a refusal, which must be a 400.
fn refusal(text: &str) -> (&'static str, Option<String>, Option<String>) {
    match decode(text.as_bytes()) {
        Err(DecodeError::Refused { code: ErrorCode::BadRequest, reason, command, id }) => {
            (reason, command, id)
        }
        other => panic!("{text}: {other:?}"),
    }
}

#[track_caller]
fn refused(text: &str, reason: &str) {
    assert_eq!(refusal(text).0, reason, "{text}");
}

fn json(bytes: &str) -> Payload<'_> {
    Payload { kind: PayloadKind::Json, bytes: bytes.as_bytes() }
}

#[test]
fn auth() {
    let by_name = Credential::Username(user("alice"));
    assert_eq!(
        command(r#"{"type":"auth","username":"alice"}"#),
        Command::Auth { credential: by_name, device: None }
    );
    let device = Some(DeviceName::new("phone").unwrap());
    let by_token = Credential::Token(Cow::Borrowed("a.b.c"));
    assert_eq!(
        command(r#"{"type":"auth","token":"a.b.c","device":"phone"}"#),
        Command::Auth { credential: by_token, device }
    );
    refused(r#"{"type":"auth"}"#, NO_CREDENTIAL);
    refused(r#"{"type":"auth","token":1}"#, BAD_TOKEN);
    refused(r#"{"type":"auth","token":"a","username":"alice"}"#, TWO_CREDENTIALS);
    refused(r#"{"type":"auth","username":"a b"}"#, BAD_USERNAME);
    refused(r#"{"type":"auth","username":"alice","device":""}"#, BAD_DEVICE);
}

#[test]
fn message_three_ways() {
    let to = Target::User(user("bob"));
    assert_eq!(
        command(r#"{"type":"message","to":"bob","message":"hi"}"#),
        Command::Message { target: to, payload: json(r#""hi""#) }
    );
    let in_group = Target::Group(group("room"));
    assert_eq!(
        command(r#"{"type":"message","group":"room","message":{"a":[1, 2]}}"#),
        Command::Message { target: in_group, payload: json(r#"{"a":[1, 2]}"#) }
    );
    assert_eq!(
        command(r#"{"type":"message","message":1.50}"#),
        Command::Message { target: Target::Everyone, payload: json("1.50") }
    );
    refused(r#"{"type":"message","to":"bob","group":"room","message":1}"#, TWO_TARGETS);
    refused(r#"{"type":"message","to":"a:b","message":1}"#, BAD_TO);
    refused(r#"{"type":"message","group":7,"message":1}"#, BAD_GROUP);
    // Were null the same as absent, this would go to everyone.
    refused(r#"{"type":"message","to":null,"message":1}"#, BAD_TO);
}

#[test]
fn a_null_message_is_a_message() {
    let everyone = Target::Everyone;
    assert_eq!(
        command(r#"{"type":"message","message":null}"#),
        Command::Message { target: everyone, payload: json("null") }
    );
    refused(r#"{"type":"message","to":"bob"}"#, NO_MESSAGE);
}

#[test]
fn a_payload_is_borrowed_and_checked() {
    let text = r#"{"message" : [ "\ud83d\ude00" , 1e308 ] ,"type":"message"}"#;
    let Command::Message { payload, .. } = command(text) else { panic!("not a message") };
    assert_eq!(payload, json(r#"[ "\ud83d\ude00" , 1e308 ]"#));
    assert!(text.as_bytes().as_ptr_range().contains(&payload.bytes.as_ptr()));
    for bad in ["1e999".to_owned(), r#""\ud800""#.to_owned(), "[".repeat(65) + &"]".repeat(65)] {
        let text = format!(r#"{{"type":"message","id":"7","message":{bad}}}"#);
        let (_, command, id) = refusal(&text);
        assert_eq!((command.as_deref(), id.as_deref()), (Some("message"), Some("7")), "{text}");
    }
}

#[test]
fn groups() {
    assert_eq!(
        command(r#"{"type":"joinGroup","group":"room"}"#),
        Command::JoinGroup { group: group("room") }
    );
    assert_eq!(
        command(r#"{"type":"leaveGroup","group":"room"}"#),
        Command::LeaveGroup { group: group("room") }
    );
    assert_eq!(
        command(r#"{"type":"members","group":"room"}"#),
        Command::Members { group: group("room"), after: None }
    );
    assert_eq!(
        command(r#"{"type":"members","group":"room","after":"bob"}"#),
        Command::Members { group: group("room"), after: Some(user("bob")) }
    );
    refused(r#"{"type":"joinGroup"}"#, NO_GROUP);
    refused(r#"{"type":"leaveGroup","group":""}"#, BAD_GROUP);
    refused(r#"{"type":"members","group":"room","after":5}"#, BAD_MEMBER);
}

#[test]
fn typing() {
    let to = Target::User(user("bob"));
    assert_eq!(command(r#"{"type":"typing","to":"bob"}"#), Command::Typing { target: to });
    let in_group = Target::Group(group("room"));
    assert_eq!(command(r#"{"type":"typing","group":"room"}"#), Command::Typing { target: in_group });
    refused(r#"{"type":"typing"}"#, NO_TARGET);
}

#[test]
fn history() {
    let conversation = ConversationId::parse("u:alice:bob").unwrap();
    assert_eq!(
        command(r#"{"type":"history","conversation":"u:alice:bob"}"#),
        Command::History { conversation: conversation.clone(), before: None, after: None, limit: None }
    );
    assert_eq!(
        command(
            r#"{"type":"history","conversation":"u:alice:bob","before":9007199254740991,"after":0,"limit":5000000000}"#
        ),
        Command::History {
            conversation,
            before: Some(Seq(INTEGER_END - 1)),
            after: Some(Seq(0)),
            limit: Some(u32::MAX)
        }
    );
    refused(r#"{"type":"history"}"#, NO_CONVERSATION);
    refused(r#"{"type":"history","conversation":"u:bob:alice"}"#, BAD_CONVERSATION);
    for bad in ["9007199254740992", "-1", "1.0", "1e3", "\"1\"", "null", "99999999999999999999"] {
        refused(&format!(r#"{{"type":"history","conversation":"g:room","before":{bad}}}"#), BAD_BEFORE);
        refused(&format!(r#"{{"type":"history","conversation":"g:room","after":{bad}}}"#), BAD_AFTER);
    }
    refused(r#"{"type":"history","conversation":"g:room","limit":0}"#, BAD_LIMIT);
}

#[test]
fn received_and_read() {
    let conversation = ConversationId::parse("g:room").unwrap();
    assert_eq!(
        command(r#"{"type":"received","conversation":"g:room","seq":9007199254740991}"#),
        Command::Received { conversation: conversation.clone(), seq: Seq(INTEGER_END - 1) }
    );
    assert_eq!(
        command(r#"{"type":"read","conversation":"g:room","seq":1}"#),
        Command::Read { conversation, seq: Seq(1) }
    );
    for name in ["received", "read"] {
        refused(&format!(r#"{{"type":"{name}","seq":1}}"#), NO_CONVERSATION);
        refused(&format!(r#"{{"type":"{name}","conversation":"g:","seq":1}}"#), BAD_CONVERSATION);
        refused(&format!(r#"{{"type":"{name}","conversation":"g:room"}}"#), NO_SEQ);
        for bad in ["0", "9007199254740992", "-1", "1.0", "\"1\"", "null"] {
            refused(&format!(r#"{{"type":"{name}","conversation":"g:room","seq":{bad}}}"#), BAD_SEQ);
        }
    }
}

#[test]
fn sync() {
    let bare = Command::Sync { cursors: Vec::new(), next: None };
    assert_eq!(command(r#"{"type":"sync"}"#), bare);
    assert_eq!(command(r#"{"type":"sync","cursors":{}}"#), bare);
    let held = |name, seq| (ConversationId::parse(name).unwrap(), Seq(seq));
    assert_eq!(
        command(
            r#"{"type":"sync","cursors":{"u:a:b":9007199254740991,"g:\u0072oom":0, "g:a" : 7},"next":"n"}"#
        ),
        Command::Sync {
            cursors: vec![held("g:a", 7), held("g:room", 0), held("u:a:b", INTEGER_END - 1)],
            next: Some(Cow::Borrowed("n")),
        }
    );
    for bad in ["null", "[]", "\"g:a\"", "1", r#"{"g:":1}"#, r#"{"":1}"#, r#"{"a":1}"#, r#"{"\ud800":1}"#] {
        refused(&format!(r#"{{"type":"sync","cursors":{bad}}}"#), BAD_CURSORS);
    }
    for bad in ["9007199254740992", "-1", "1.0", "\"1\"", "null", "[[]]"] {
        refused(&format!(r#"{{"type":"sync","cursors":{{"g:a":1,"g:b":{bad}}}}}"#), BAD_CURSORS);
    }
    refused(r#"{"type":"sync","cursors":{"g:a":1,"g:b":2,"g:\u0061":1}}"#, CURSOR_TWICE);
    for bad in ["\"\"", "1", "null", &format!("\"{}\"", "é".repeat(129))] {
        refused(&format!(r#"{{"type":"sync","next":{bad}}}"#), BAD_NEXT);
    }
}

#[test]
fn so_many_cursors_and_no_more() {
    let with = |cursors: usize| {
        let held: Vec<_> = (0..cursors).rev().map(|n| format!("\"g:{n:04}\":{n}")).collect();
        format!(r#"{{"type":"sync","cursors":{{{}}}}}"#, held.join(","))
    };
    let most = with(SYNC_CURSORS_MAX);
    let Command::Sync { cursors, .. } = command(&most) else { panic!("no sync") };
    assert_eq!(cursors.len(), SYNC_CURSORS_MAX);
    assert!(cursors.is_sorted_by(|(a, _), (b, _)| a < b));
    refused(&with(SYNC_CURSORS_MAX + 1), MANY_CURSORS);
}

#[test]
fn ping_and_ids() {
    assert_eq!(command(r#"{"type":"ping"}"#), Command::Ping);
    let id = |text| decode(text).unwrap().id;
    assert!(matches!(id(br#"{"id":"7","type":"ping"}"#), Some(Cow::Borrowed("7"))));
    assert_eq!(id(br#"{"id":"\u0037\"","type":"ping"}"#).as_deref(), Some("7\""));
    let longest = "x".repeat(64);
    assert_eq!(id(format!(r#"{{"type":"ping","id":"{longest}"}}"#).as_bytes()).as_deref(), Some(&*longest));
    for bad in [r#""""#, "7", "null", r#""\ud800""#, &format!(r#""{longest}x""#)] {
        let (reason, command, id) = refusal(&format!(r#"{{"type":"ping","id":{bad}}}"#));
        assert_eq!((reason, command.as_deref(), id), (BAD_ID, Some("ping"), None), "{bad}");
    }
}

#[test]
fn types_must_be_known() {
    for missing in ["{}", r#"{"type":null}"#, r#"{"type":["ping"]}"#, r#"{"type":"\udead"}"#] {
        refused(missing, NO_TYPE);
    }
    for later in ["subscribe", "unsubscribe", "Ping", ""] {
        let (reason, command, id) = refusal(&format!(r#"{{"type":"{later}","id":"a"}}"#));
        assert_eq!((reason, command.as_deref(), id.as_deref()), (UNKNOWN_TYPE, Some(later), Some("a")));
    }
    let long = format!(r#"{{"type":"{}"}}"#, "é".repeat(40) + "x");
    assert_eq!(refusal(&long).1.as_deref(), Some(&*"é".repeat(32)));
}

#[test]
fn unknown_fields_are_skipped_and_doubled_ones_refused() {
    let deep = format!(r#"{{"x":{}{},"type":"ping","y":{{"type":1}}}}"#, "[".repeat(5000), "]".repeat(5000));
    assert_eq!(command(&deep), Command::Ping);
    assert_eq!(command(r#"{"type":"ping","to":5,"x":1e999,"x":2}"#), Command::Ping);
    refused(r#"{"type":"ping","type":"ping"}"#, TWICE);
}

#[test]
fn what_is_not_json_is_malformed() {
    let bad: [&[u8]; 14] = [
        b"",
        b" ",
        b"hello",
        b"{",
        br#"{"type":"ping"} x"#,
        br#"{"type":"ping"}{}"#,
        br#"{"type":"ping",}"#,
        br#"{"type":"message","message":[1,}"#,
        br#"{"type":"message","message":01}"#,
        b"{\"type\":\"message\",\"message\":\"\n\"}",
        b"{\"type\":\"ping\",\"x\":\"\xff\"}",
        b"[1,",
        b"nul",
        br#"{'type':'ping'}"#,
    ];
    for bad in bad {
        assert_eq!(decode(bad), Err(DecodeError::Malformed), "{}", String::from_utf8_lossy(bad));
    }
}

#[test]
fn json_that_is_no_object_is_refused() {
    for other in ["null", "5", "1e999", r#""ping""#, "[]", " [1, {}] ", "true"] {
        refused(other, NOT_AN_OBJECT);
    }
    refused(r#"{"type":"ping","\ud800":1}"#, BAD_KEY);
}

#[test]
fn white_space_around_is_fine() {
    assert_eq!(command(" {\r\n\t\"type\" : \"ping\" } \n"), Command::Ping);
}
