//! Commands as a client's Protobuf library writes them, and what is wrong with those that are refused.

use super::*;
use crate::limits::{SYNC_CURSORS_MAX, SYNC_TOKEN_MAX};
use crate::wire::proto::schema::client_frame::Command as Sent;
use crate::wire::proto::schema::{auth, send_message::Content, send_message::Target as To};
use crate::wire::reasons::{BAD_CURSORS, BAD_NEXT, CURSOR_TWICE, MANY_CURSORS};
use buffa::Message;

fn written(id: &str, command: Option<Sent>) -> Vec<u8> {
    schema::ClientFrame { id: id.to_owned(), command }.encode_to_vec()
}

fn message(target: Option<To>, content: Option<Content>) -> Option<Sent> {
    Some(Sent::Message(schema::SendMessage { target, content }))
}

fn to_bob(content: Content) -> Option<Sent> {
    message(Some(To::To("bob".into())), Some(content))
}

/// Why the server refuses it, checked to name the command and the id.
fn reason(command: Option<Sent>) -> &'static str {
    let frame = written("7", command);
    let expected = Envelope::read(&frame).unwrap().command.as_ref().map(Asked::name);
    match decode(&frame) {
        Err(DecodeError::Refused { code: ErrorCode::BadRequest, reason, command, id }) => {
            assert_eq!((command.as_deref(), id.as_deref()), (expected, Some("7")));
            reason
        }
        other => panic!("{other:?}"),
    }
}

fn bob() -> Target {
    Target::User(UserName::new("bob").unwrap())
}

#[test]
fn a_message_carries_its_kind() {
    let kinds = [
        (Content::Json(r#"{"a": [1]}"#.into()), PayloadKind::Json, &b"{\"a\": [1]}"[..]),
        (Content::Json(" \n null\t".into()), PayloadKind::Json, b"null"),
        (Content::Text("h\u{e9}".into()), PayloadKind::Text, "h\u{e9}".as_bytes()),
        (Content::Text("".into()), PayloadKind::Text, b""),
        (Content::Bytes(vec![0, 255]), PayloadKind::Bytes, &[0, 255]),
        (Content::Bytes(vec![]), PayloadKind::Bytes, &[]),
    ];
    for (content, kind, bytes) in kinds {
        let frame = written("", to_bob(content));
        let payload = Payload { kind, bytes };
        assert_eq!(
            decode(&frame),
            Ok(Request { id: None, command: Command::Message { target: bob(), payload } })
        );
    }
}

#[test]
fn what_is_decoded_lies_in_the_message() {
    let frame = written("an-id", to_bob(Content::Json("[1, 2]".into())));
    let Ok(Request { id: Some(Cow::Borrowed(id)), command: Command::Message { payload, .. } }) =
        decode(&frame)
    else {
        panic!("a message with a borrowed id");
    };
    let inside = |part: &[u8]| frame.as_ptr_range().contains(&part.as_ptr());
    assert!(inside(id.as_bytes()) && inside(payload.bytes));
}

#[test]
fn json_content_is_checked_where_it_enters() {
    let refused = |json: &str| reason(to_bob(Content::Json(json.into())));
    for json in ["", " ", "{", "1 2", "nul", "'a'", "\"\u{1}\""] {
        assert_eq!(refused(json), NOT_JSON, "{json}");
    }
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    assert!(refused(&deep).contains("nested"));
    assert!(refused(r#""\ud800""#).contains("surrogate"));
    assert!(refused("1e999").contains("too large"));
}

#[test]
fn a_receiver_and_a_content_have_to_be_said() {
    let text = || Some(Content::Text("x".into()));
    assert_eq!(reason(message(None, text())), NO_RECEIVER);
    assert_eq!(reason(message(Some(To::To("".into())), text())), BAD_TO);
    assert_eq!(reason(message(Some(To::Group("a b".into())), text())), BAD_GROUP);
    assert_eq!(reason(message(Some(To::To("bob".into())), None)), NO_CONTENT);
    let everyone = Some(To::Everyone(schema::Everyone::default()));
    let frame = written("", message(everyone, text()));
    let Ok(Request { command: Command::Message { target, .. }, .. }) = decode(&frame) else { panic!() };
    assert_eq!(target, Target::Everyone);
}

#[test]
fn no_command_is_refused_and_the_connection_lives() {
    assert_eq!(reason(None), NO_COMMAND);
    // Field 100 with a message inside: a command of a later version, with an id.
    let later = [&[0xa2, 0x06, 0x02, 0x08, 0x01][..], &written("7", None)].concat();
    let refused = DecodeError::Refused {
        code: ErrorCode::BadRequest,
        reason: NO_COMMAND,
        command: None,
        id: Some("7".to_owned()),
    };
    assert_eq!(decode(&later), Err(refused));
    assert!(matches!(decode(&[]), Err(DecodeError::Refused { id: None, .. })));
}

#[test]
fn unknown_fields_are_ignored() {
    let known = written("7", Some(Sent::Ping(schema::Ping::default())));
    for unknown in [&[0xf8, 0x07, 0x01][..], &[0xfa, 0x07, 0x01, 0xff], &[0xfb, 0x07, 0x08, 0x01, 0xfc, 0x07]]
    {
        let frame = [unknown, &known].concat();
        assert_eq!(decode(&frame), Ok(Request { id: Some("7".into()), command: Command::Ping }));
    }
}

#[test]
fn what_is_no_protobuf_is_malformed() {
    let cut = written("7", to_bob(Content::Text("hello".into())));
    let bad = [
        &[0x80][..],
        &[0x0a],
        &[0x0a, 0x05, 0x01],
        &[0x0e],
        &[0x0f],
        &[0x00],
        &[0x0c],
        &[0x7a, 0x01, 0xff],
        &[0xff; 11],
        &cut[..cut.len() - 1],
    ];
    for bad in bad {
        assert_eq!(decode(bad), Err(DecodeError::Malformed), "{bad:02x?}");
    }
}

#[test]
fn credentials_and_devices() {
    let auth =
        |credential, device: &str| Some(Sent::Auth(schema::Auth { credential, device: device.to_owned() }));
    let frame = written("1", auth(Some(auth::Credential::Token("t.t.t".into())), "phone"));
    let credential = Credential::Token("t.t.t".into());
    let command = Command::Auth { credential, device: Some(DeviceName::new("phone").unwrap()) };
    assert_eq!(decode(&frame), Ok(Request { id: Some("1".into()), command }));
    let frame = written("", auth(Some(auth::Credential::Username("alice".into())), ""));
    let command =
        Command::Auth { credential: Credential::Username(UserName::new("alice").unwrap()), device: None };
    assert_eq!(decode(&frame), Ok(Request { id: None, command }));
    assert_eq!(reason(auth(None, "phone")), NO_CREDENTIAL);
    assert_eq!(reason(auth(Some(auth::Credential::Username("a:b".into())), "")), BAD_USERNAME);
    assert_eq!(reason(auth(Some(auth::Credential::Username("alice".into())), "a b")), BAD_DEVICE);
}

#[test]
fn history_reads_both_ways() {
    let history = |conversation: &str, before, after, limit| {
        let conversation = conversation.to_owned();
        Some(Sent::History(schema::ReadHistory { conversation, before, after, limit }))
    };
    let frame = written("", history("u:alice:bob", Some(0), Some(INTEGER_END - 1), 5));
    let command = Command::History {
        conversation: ConversationId::parse("u:alice:bob").unwrap(),
        before: Some(Seq(0)),
        after: Some(Seq(INTEGER_END - 1)),
        limit: Some(5),
    };
    assert_eq!(decode(&frame), Ok(Request { id: None, command }));
    let frame = written("", history("g:room", None, None, 0));
    let conversation = ConversationId::parse("g:room").unwrap();
    let command = Command::History { conversation, before: None, after: None, limit: None };
    assert_eq!(decode(&frame), Ok(Request { id: None, command }));
    assert_eq!(reason(history("", None, None, 0)), NO_CONVERSATION);
    assert_eq!(reason(history("u:bob:alice", None, None, 0)), BAD_CONVERSATION);
    assert_eq!(reason(history("g:room", Some(INTEGER_END), None, 0)), BAD_BEFORE);
    assert_eq!(reason(history("g:room", None, Some(u64::MAX), 0)), BAD_AFTER);
}

#[test]
fn received_and_read() {
    let conversation = ConversationId::parse("g:room").unwrap();
    let received = |conversation: &str, seq| {
        Some(Sent::Received(schema::MarkReceived { conversation: conversation.to_owned(), seq }))
    };
    let read = |conversation: &str, seq| {
        Some(Sent::Read(schema::MarkRead { conversation: conversation.to_owned(), seq }))
    };
    let seq = Seq(INTEGER_END - 1);
    let expected = Command::Received { conversation: conversation.clone(), seq };
    assert_eq!(decode(&written("", received("g:room", seq.0))).unwrap().command, expected);
    let expected = Command::Read { conversation, seq: Seq(1) };
    assert_eq!(decode(&written("", read("g:room", 1))).unwrap().command, expected);
    for (conversation, seq, why) in [
        ("", 1, NO_CONVERSATION),
        ("g:", 1, BAD_CONVERSATION),
        ("g:room", 0, NO_SEQ),
        ("g:room", INTEGER_END, BAD_SEQ),
    ] {
        assert_eq!(reason(received(conversation, seq)), why);
        assert_eq!(reason(read(conversation, seq)), why);
    }
}

#[test]
fn sync_says_what_is_held() {
    let sync = |held: &[(&str, u64)], next: &str| {
        let cursor = |(conversation, seq): &(&str, u64)| schema::Cursor {
            conversation: (*conversation).to_owned(),
            seq: *seq,
        };
        let cursors = held.iter().map(cursor).collect();
        Some(Sent::Sync(schema::RequestSync { cursors, next: next.to_owned() }))
    };
    let held = |name, seq| (ConversationId::parse(name).unwrap(), Seq(seq));
    let frame = written("", sync(&[], ""));
    let bare = Command::Sync { cursors: Vec::new(), next: None };
    assert_eq!(decode(&frame).unwrap().command, bare);
    let frame = written("", sync(&[("u:a:b", INTEGER_END - 1), ("g:room", 0), ("g:a", 7)], "n"));
    let cursors = vec![held("g:a", 7), held("g:room", 0), held("u:a:b", INTEGER_END - 1)];
    assert_eq!(decode(&frame).unwrap().command, Command::Sync { cursors, next: Some("n".into()) });
    assert_eq!(reason(sync(&[("g:a", INTEGER_END)], "")), BAD_CURSORS);
    assert_eq!(reason(sync(&[("", 1)], "")), BAD_CURSORS);
    assert_eq!(reason(sync(&[("g:a", 1), ("u:b:a", 1)], "")), BAD_CURSORS);
    assert_eq!(reason(sync(&[("g:a", 1), ("g:b", 1), ("g:a", 1)], "")), CURSOR_TWICE);
    assert_eq!(reason(sync(&[], &"x".repeat(SYNC_TOKEN_MAX + 1))), BAD_NEXT);
    let names: Vec<_> = (0..=SYNC_CURSORS_MAX).map(|n| format!("g:{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (&**name, 1)).collect();
    assert_eq!(reason(sync(&many, "")), MANY_CURSORS);
    assert!(decode(&written("", sync(&many[1..], &"x".repeat(SYNC_TOKEN_MAX)))).is_ok());
}

#[test]
fn groups_and_typing() {
    let room = GroupName::new("room").unwrap();
    let join = written("", Some(Sent::JoinGroup(schema::JoinGroup { group: "room".into() })));
    assert_eq!(decode(&join).unwrap().command, Command::JoinGroup { group: room.clone() });
    let list = schema::ListMembers { group: "room".into(), after: "bob".into() };
    let listed = Command::Members { group: room.clone(), after: Some(UserName::new("bob").unwrap()) };
    assert_eq!(decode(&written("", Some(Sent::Members(list)))).unwrap().command, listed);
    let target = Some(send_typing::Target::Group("room".into()));
    let typing = schema::SendTyping { target };
    let told = Command::Typing { target: Target::Group(room) };
    assert_eq!(decode(&written("", Some(Sent::Typing(typing)))).unwrap().command, told);
    assert_eq!(reason(Some(Sent::LeaveGroup(schema::LeaveGroup::default()))), NO_GROUP);
    assert_eq!(reason(Some(Sent::Typing(schema::SendTyping::default()))), NO_TARGET);
    let bad = schema::ListMembers { group: "room".into(), after: "b b".into() };
    assert_eq!(reason(Some(Sent::Members(bad))), BAD_MEMBER);
}

#[test]
fn an_id_is_bounded() {
    let ping = || Some(Sent::Ping(schema::Ping::default()));
    let long = "x".repeat(NAME_MAX + 1);
    let frame = written(&long, ping());
    let refused = decode(&frame);
    assert!(matches!(refused, Err(DecodeError::Refused { reason: BAD_ID, id: None, .. })), "{refused:?}");
    assert!(decode(&written(&long[1..], ping())).is_ok());
}
