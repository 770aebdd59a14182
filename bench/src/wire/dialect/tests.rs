//! The built-in dialects say what their servers expect; a file that cannot work is refused with its reason.
use super::*;

fn built_in(name: &str) -> Arc<Dialect> {
    Dialect::named(name).unwrap()
}

#[test]
fn every_built_in_dialect_reads() {
    for (name, _) in BUILT_IN {
        built_in(name);
    }
}

#[test]
fn longwires_answers_are_told_by_their_type() {
    let longwire = built_in("longwire");
    assert_eq!(longwire.answer(br#"{"type":"ack","id":"a"}"#), Answer::Ack);
    assert_eq!(longwire.answer(br#"{"type":"authenticated","user":"a"}"#), Answer::Authenticated);
    assert_eq!(longwire.answer(br#"{"type":"error","code":400}"#), Answer::Error);
    assert_eq!(longwire.answer(br#"{"type":"groupEvent"}"#), Answer::Other);
    assert_eq!(longwire.answer(b"hello"), Answer::Other);
    assert_eq!(longwire.ping(), Some(br#"{"type":"ping"}"# as &[u8]));
    // A path that the URL says is left alone.
    assert_eq!((longwire.path("a", "b"), longwire.group_path("a", "g")), (None, None));
}

#[test]
fn the_tutorial_waits_for_no_answer() {
    let tutorial = built_in("tutorial");
    assert_eq!(tutorial.sign_in("ann").unwrap(), br#"{"type":"auth","username":"ann"}"#);
    assert_eq!(tutorial.join("g").unwrap(), br#"{"type":"joinGroup","group":"g"}"#);
    assert_eq!(tutorial.answer(br#"{"type":"authenticated","user":"a"}"#), Answer::Other);
    assert!(!tutorial.answers_with(Answer::Authenticated) && !tutorial.answers_with(Answer::Joined));
    assert!(tutorial.ping().is_none() && tutorial.greeting().is_empty());
    assert_eq!(tutorial.message(To::Everyone, "hi", None), br#"{"type":"message","message":"hi"}"#);
}

#[test]
fn socket_io_is_greeted_signed_in_and_kept_alive() {
    let socketio = built_in("socketio");
    assert_eq!(socketio.path("a", "b").unwrap(), "/socket.io/?EIO=4&transport=websocket");
    assert_eq!(socketio.group_path("a", "g"), socketio.path("a", "b"));
    assert_eq!(socketio.greeting(), [b"40"]);
    // The open packet is no answer to wait for: the namespace's is.
    assert_eq!(socketio.answer(br#"0{"sid":"x"}"#), Answer::Other);
    assert_eq!(socketio.answer(br#"40{"sid":"x"}"#), Answer::Welcome);
    assert_eq!((socketio.answer(b"2"), socketio.heartbeat()), (Answer::Heartbeat, Some(b"3" as &[u8])));
    assert_eq!(socketio.message(To::User("bob"), "hi", None), br#"42["private","bob","hi"]"#);
    assert_eq!(socketio.message(To::User("bob"), "hi", Some("7")), br#"421["private","bob","hi"]"#);
    assert_eq!(socketio.answer(b"431[]"), Answer::Ack);
}

#[test]
fn nchan_goes_by_the_path_and_sends_the_bare_payload() {
    let nchan = built_in("nchan");
    assert_eq!(nchan.path("ann", "bob").unwrap(), "/user/ann/bob");
    assert_eq!(nchan.group_path("ann", "g").unwrap(), "/group/ann/g");
    assert_eq!((nchan.sign_in("ann"), nchan.join("g")), (None, None));
    assert_eq!(nchan.message(To::Group("g"), "hi", None), b"hi");
    assert!(nchan.own_group_messages() && nchan.check_ids(true).is_err());
    assert_eq!(built_in("echo").message(To::Back, "hi", None), b"hi");
}

#[test]
fn longwires_dialect_is_binary_too_and_no_other_is() {
    use buffa::Message as _;
    use longwire::wire::proto::schema::{self, ServerFrame, server_frame::Event};
    let binary = built_in("longwire").encoded(Encoding::Proto).unwrap();
    let said = |event: Event| {
        // As a server writes it: the answer first, the id behind it.
        ServerFrame { id: "0123".into(), event: Some(event) }.encode_to_vec()
    };
    let answer = |event| binary.answer(&said(event));
    assert_eq!(answer(schema::Ack { seq: 7, ..schema::Ack::default() }.into()), Answer::Ack);
    assert_eq!(answer(schema::Authenticated::default().into()), Answer::Authenticated);
    assert_eq!(answer(schema::Joined::default().into()), Answer::Joined);
    assert_eq!(answer(schema::Pong::default().into()), Answer::Pong);
    assert_eq!(answer(schema::Message::default().into()), Answer::Other);
    assert_eq!(answer(schema::GroupEvent::default().into()), Answer::Other);
    assert_eq!((binary.answer(b""), binary.answer(b"{}")), (Answer::Other, Answer::Other));
    let error = schema::Error { code: 403, reason: "no".into(), command: "message".into(), retry_after: 0 };
    assert_eq!(answer(error.clone().into()), Answer::Error);
    assert_eq!(binary.error(&said(error.into())), "error 403 to message: no");
    assert_eq!(binary.error(b"\x1a\x7f"), "\x1a\x7f", "what cannot be read is shown as it is");
    assert_eq!((binary.subprotocol(), binary.opcode()), (Some("longwire.proto.v1"), frame::BINARY));
    assert_eq!((binary.path("a", "b"), binary.group_path("a", "g")), (None, None));
    assert!(binary.check_ids(true).is_ok() && binary.ping().is_some() && !binary.own_group_messages());
    for (name, _) in BUILT_IN {
        let dialect = built_in(name);
        assert_eq!((dialect.subprotocol(), dialect.opcode()), (None, frame::TEXT));
        assert!(dialect.encoded(Encoding::Json).is_ok());
        assert_eq!(dialect.encoded(Encoding::Proto).is_ok(), name == LONGWIRE, "{name}");
    }
}

#[test]
fn what_cannot_work_is_refused_with_its_reason() {
    for (text, said) in [
        ("to_user = 'hello'", "to_user"),
        ("to_group = '{payload}{payload}'", "once"),
        ("id = '{id}'", "acks"),
        ("heartbeat = '3'", "both or neither"),
        ("answers = { heartbeat = ['2'] }", "both or neither"),
        ("path = 'x'", "begins with /"),
        ("path = '/a b'", "no spaces"),
        ("sign_on = 'x'", "unknown field"),
        ("answers = { bye = ['x'] }", "unknown field"),
    ] {
        let error = format!("{:#}", Dialect::parse(text).unwrap_err());
        assert!(error.contains(said), "{text}: {error}");
    }
    let error = Dialect::named("/nowhere/dialect.toml").unwrap_err();
    assert!(error.contains("tutorial, longwire"), "{error}");
}
