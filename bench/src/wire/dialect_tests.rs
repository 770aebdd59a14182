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
    assert_eq!(longwire.ping(), Some(r#"{"type":"ping"}"#));
    // A path that the URL says is left alone.
    assert_eq!((longwire.path("a", "b"), longwire.group_path("a", "g")), (None, None));
}

#[test]
fn the_tutorial_waits_for_no_answer() {
    let tutorial = built_in("tutorial");
    assert_eq!(tutorial.sign_in("ann").unwrap(), r#"{"type":"auth","username":"ann"}"#);
    assert_eq!(tutorial.join("g").unwrap(), r#"{"type":"joinGroup","group":"g"}"#);
    assert_eq!(tutorial.answer(br#"{"type":"authenticated","user":"a"}"#), Answer::Other);
    assert!(!tutorial.answers_with(Answer::Authenticated) && !tutorial.answers_with(Answer::Joined));
    assert!(tutorial.ping().is_none() && tutorial.greeting().is_empty());
    assert_eq!(tutorial.message(To::Everyone, false), r#"{"type":"message","message":"{payload}"}"#);
}

#[test]
fn socket_io_is_greeted_signed_in_and_kept_alive() {
    let socketio = built_in("socketio");
    assert_eq!(socketio.path("a", "b").unwrap(), "/socket.io/?EIO=4&transport=websocket");
    assert_eq!(socketio.group_path("a", "g"), socketio.path("a", "b"));
    assert_eq!(socketio.greeting(), ["40"]);
    // The open packet is no answer to wait for: the namespace's is.
    assert_eq!(socketio.answer(br#"0{"sid":"x"}"#), Answer::Other);
    assert_eq!(socketio.answer(br#"40{"sid":"x"}"#), Answer::Welcome);
    assert_eq!((socketio.answer(b"2"), socketio.heartbeat()), (Answer::Heartbeat, Some("3")));
    assert_eq!(socketio.message(To::User("bob"), false), r#"42["private","bob","{payload}"]"#);
    assert_eq!(socketio.message(To::User("bob"), true), r#"421["private","bob","{payload}"]"#);
    assert_eq!(socketio.answer(b"431[]"), Answer::Ack);
}

#[test]
fn nchan_goes_by_the_path_and_sends_the_bare_payload() {
    let nchan = built_in("nchan");
    assert_eq!(nchan.path("ann", "bob").unwrap(), "/user/ann/bob");
    assert_eq!(nchan.group_path("ann", "g").unwrap(), "/group/ann/g");
    assert_eq!((nchan.sign_in("ann"), nchan.join("g")), (None, None));
    assert_eq!(nchan.message(To::Group("g"), false), PAYLOAD);
    assert!(nchan.own_group_messages() && nchan.check_ids(true).is_err());
    assert_eq!(built_in("echo").message(To::Back, false), PAYLOAD);
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
