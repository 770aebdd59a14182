//! The short way and the generated types agree on every frame.

use super::*;
use buffa::Message;
use proptest::prelude::*;
use schema::{client_frame::Command, server_frame::Event};

/// Commands and rubbish, in pieces that a frame may consist of.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let frame = |command| schema::ClientFrame { id: String::new(), command: Some(command) }.encode_to_vec();
    let content = Some(schema::send_message::Content::Text("hello".into()));
    let message =
        schema::SendMessage { target: Some(schema::send_message::Target::To("bob".into())), content };
    prop_oneof![
        Just(frame(Command::Message(message))),
        Just(frame(Command::Message(schema::SendMessage::default()))),
        Just(frame(Command::Auth(schema::Auth { credential: None, device: "phone".into() }))),
        Just(frame(Command::JoinGroup(schema::JoinGroup { group: "room".into() }))),
        Just(frame(Command::LeaveGroup(schema::LeaveGroup { group: "room".into() }))),
        Just(frame(Command::Members(schema::ListMembers { group: "room".into(), after: "a".into() }))),
        Just(frame(Command::Typing(schema::SendTyping::default()))),
        Just(frame(Command::History(schema::ReadHistory {
            before: Some(0),
            limit: 7,
            ..Default::default()
        }))),
        Just(frame(Command::Ping(schema::Ping::default()))),
        Just(frame(Command::Received(schema::MarkReceived { conversation: "g:room".into(), seq: 7 }))),
        Just(frame(Command::Read(schema::MarkRead::default()))),
        Just(frame(Command::Sync(schema::RequestSync {
            cursors: vec![
                schema::Cursor { conversation: "g:room".into(), seq: 7 },
                schema::Cursor::default()
            ],
            next: "n".into(),
        }))),
        "[a-z]{1,3}".prop_map(|id| schema::ClientFrame { id, command: None }.encode_to_vec()),
        proptest::collection::vec(any::<u8>(), 0..6),
        // A known field of another wire type, and unknown ones of all.
        (0..20_u8, 0..8_u8, any::<u8>()).prop_map(|(number, wire, value)| vec![number << 3 | wire, value]),
    ]
}

proptest! {
    #[test]
    fn reading_is_what_the_generated_code_does(pieces in proptest::collection::vec(piece(), 0..5), cut in 0..8_usize) {
        let mut frame = pieces.concat();
        if cut < 3 {
            frame.truncate(frame.len().saturating_sub(cut));
        }
        let read = |envelope: Result<Envelope<'_>, DecodeError>| envelope.ok().map(|read| format!("{read:?}"));
        prop_assert_eq!(read(Envelope::read(&frame)), read(Envelope::read_plainly(&frame)));
    }
}

#[test]
fn each_event_has_its_number() {
    macro_rules! agree {
        ($($view:ident $kind:ident)*) => {
            $({
                let mut out = Vec::new();
                write(Some("7"), &schema::$view::default(), &mut out);
                let event = Some(Event::$kind(Default::default()));
                let frame = schema::ServerFrame { id: "7".to_owned(), event };
                assert_eq!(out, frame.encode_to_vec(), stringify!($kind));
            })*
        };
    }
    agree! {
        MessageView Message AckView Ack ErrorView Error AuthenticatedView Authenticated JoinedView Joined LeftView Left
        GroupEventView GroupEvent MembersView Members HistoryView History TypingView Typing PongView Pong
        ResyncView Resync ExpiringView Expiring SyncView Sync ReceiptView Receipt
    }
}

#[test]
fn unknown_groups_may_be_as_deep_here_as_there() {
    // Field 20 as a group within itself, as an unknown field of a ping.
    let deep = |levels| [[0xa3, 0x01].repeat(levels), [0xa4, 0x01].repeat(levels)].concat();
    for levels in 95..105 {
        let inner = deep(levels);
        let mut frame = vec![0x42, 0x80 | (inner.len() & 0x7f) as u8, (inner.len() >> 7) as u8];
        frame.extend_from_slice(&inner);
        let (read, plain) = (Envelope::read(&frame).is_ok(), Envelope::read_plainly(&frame).is_ok());
        assert_eq!(read, plain, "{levels} levels");
        assert_eq!(read, levels < 100, "{levels} levels");
    }
}
