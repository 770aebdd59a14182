use super::*;
use crate::ids::{CommandId, Millis};
use crate::limits::HISTORY_ENVELOPE;
use crate::view::{Cursor, Look, Looks};
use crate::wire::size::message_max;
use crate::wire::{Encoding, Event, Payload, PayloadKind, StoredMessage, Target};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn message(other: &str, seq: u64, prev: u64, bytes: &str) -> Record {
    let (from, to) = (user("a"), user(other));
    Record::Message(Arc::new(MessageRecord {
        conversation: ConversationId::private(&from, &to),
        seq: Seq(seq),
        prev: Seq(prev),
        time: Millis(1),
        from,
        target: Target::User(to),
        id: None,
        kind: PayloadKind::Json,
        bytes: bytes.as_bytes().into(),
    }))
}

fn with(other: &str) -> ConversationId {
    ConversationId::private(&user("a"), &user(other))
}

fn view_of(seqs: impl IntoIterator<Item = u64>) -> MemoryView {
    let mut view = MemoryView::new(1 << 20);
    for (position, seq) in (1..).zip(seqs) {
        view.apply(Position(position), &message("b", seq, seq - 1, "1"));
    }
    view
}

fn page(view: &MemoryView, before: Option<u64>, after: Option<u64>, limit: u32) -> (Vec<u64>, bool) {
    let range = Range { before: before.map(Seq), after: after.map(Seq), limit, bytes: 1 << 20 };
    let page = view.read(&with("b"), range);
    (page.messages.iter().map(|m| m.seq.0).collect(), page.more)
}

#[test]
fn pages_are_read_in_both_directions() {
    let view = view_of(1..=9);
    assert_eq!(page(&view, None, None, 3), (vec![7, 8, 9], true));
    assert_eq!(page(&view, Some(7), None, 3), (vec![4, 5, 6], true));
    assert_eq!(page(&view, Some(4), None, 3), (vec![1, 2, 3], false));
    assert_eq!(page(&view, None, Some(4), 3), (vec![5, 6, 7], true));
    assert_eq!(page(&view, None, Some(7), 3), (vec![8, 9], false));
    assert_eq!(page(&view, Some(6), Some(2), 2), (vec![3, 4], true));
    assert_eq!(page(&view, Some(2), Some(8), 2), (vec![], false));
    let range = Range { before: None, after: None, limit: 1, bytes: 1 };
    assert_eq!(view.read(&with("nobody"), range).messages.len(), 0);
}

#[test]
fn a_page_ends_at_its_bytes_but_has_one_message() {
    let view = view_of(1..=9);
    let read = |before: Option<u64>, after: Option<u64>, bytes| {
        let range = Range { before: before.map(Seq), after: after.map(Seq), limit: 9, bytes };
        let page = view.read(&with("b"), range);
        (page.messages.iter().map(|m| m.seq.0).collect::<Vec<_>>(), page.more)
    };
    let two = 2 * message_max(b"ab", b"", Payload { kind: PayloadKind::Json, bytes: b"1" });
    assert_eq!(read(None, None, two), (vec![8, 9], true));
    assert_eq!(read(None, Some(0), two), (vec![1, 2], true));
    assert_eq!(read(Some(3), None, two), (vec![1, 2], false));
    assert_eq!(read(None, None, 0), (vec![9], true));
    assert_eq!(read(None, Some(8), 0), (vec![9], false));
}

#[test]
fn a_page_fits_its_bytes_in_every_encoding() {
    const BYTES: usize = 16 * 1024;
    let contents: [(PayloadKind, &[u8]); 4] = [
        (PayloadKind::Text, &[1; 1000]),
        (PayloadKind::Text, &[b'"'; 1000]),
        (PayloadKind::Bytes, &[1; 1000]),
        (PayloadKind::Json, &[b'1'; 1000]),
    ];
    for (kind, bytes) in contents {
        let mut view = MemoryView::new(1 << 20);
        for seq in 1..=50 {
            let Record::Message(message) = message("b", seq, seq - 1, "") else { unreachable!("it is one") };
            let (id, bytes) = (CommandId::new(&"i".repeat(64)), bytes.into());
            let message = MessageRecord { id, kind, bytes, ..(*message).clone() };
            view.apply(Position(seq), &Record::Message(Arc::new(message)));
        }
        let range = Range { before: None, after: None, limit: 50, bytes: BYTES - HISTORY_ENVELOPE };
        let page = view.read(&with("b"), range);
        let messages: Vec<_> = page.messages.iter().map(|record| shown(record)).collect();
        let conversation = &with("b");
        let event =
            Event::History { id: None, conversation, messages: &messages, first: Seq(1), more: page.more };
        let sizes = Encoding::ALL.map(|encoding| {
            let mut out = Vec::new();
            encoding.encode(&event, &mut out);
            out.len()
        });
        assert!(sizes.iter().all(|size| *size <= BYTES), "{kind:?} {sizes:?}");
        // JSON takes the most of it, and no more messages would have fitted.
        assert!(sizes[0] > BYTES / 2 && page.more && !messages.is_empty(), "{kind:?} {sizes:?}");
    }
}

fn shown(record: &MessageRecord) -> StoredMessage<'_> {
    StoredMessage {
        from: &record.from,
        target: &record.target,
        payload: Payload { kind: record.kind, bytes: &record.bytes },
        id: record.id.as_deref(),
        conversation: &record.conversation,
        seq: record.seq,
        prev: record.prev,
        time: record.time,
    }
}

#[test]
fn applying_again_changes_nothing() {
    let mut view = view_of(1..=3);
    let bytes = view.bytes();
    view.apply(Position(2), &message("b", 2, 1, "1"));
    view.apply(Position(9), &message("b", 3, 2, "1"));
    assert_eq!((page(&view, None, None, 9).0, view.bytes()), (vec![1, 2, 3], bytes));
}

fn activate(view: &MemoryView, conversation: &ConversationId) -> Activation {
    view.activate(conversation, &Recall { from: Some(Seq(1)), ids: None })
}

#[test]
fn the_oldest_messages_of_the_shard_go_first_and_heads_stay() {
    const BUDGET: usize = 8 * 1024;
    let mut view = MemoryView::new(BUDGET);
    view.apply(Position(1), &message("b", 5, 0, &"x".repeat(100)));
    for n in 1..=99 {
        view.apply(Position(1 + n), &message("c", n, n - 1, &"x".repeat(150)));
        assert!(view.bytes() <= BUDGET);
    }
    // A segment is an eighth of the budget, and forgetting goes by whole segments.
    assert!(view.bytes() > BUDGET / 4 * 3);
    let gone = activate(&view, &with("b"));
    assert_eq!((gone.head, gone.first, gone.trimmed, gone.stored.len()), (Seq(5), Seq(0), true, 0));
    let kept = activate(&view, &with("c"));
    assert_eq!((kept.head, kept.trimmed), (Seq(99), true));
    let seqs: Vec<_> = kept.stored.iter().map(|seq| seq.0).collect();
    assert_eq!(seqs, (kept.first.0..=99).collect::<Vec<_>>());
}

#[test]
fn forgotten_heads_are_admitted() {
    let mut view = MemoryView::new(0);
    view.max_heads = 1;
    view.apply(Position(1), &message("b", 5, 0, "1"));
    assert!(!activate(&view, &with("unknown")).trimmed);
    view.apply(Position(2), &message("c", 6, 0, "1"));
    assert_eq!((activate(&view, &with("b")).head, activate(&view, &with("b")).trimmed), (Seq(0), true));
    assert_eq!(activate(&view, &with("c")).head, Seq(6));
    assert_eq!(view.bytes(), 0);
}

#[test]
fn members_come_and_go() {
    let mut view = MemoryView::new(0);
    let group = GroupName::new("g").unwrap();
    let member = |name: &str, joined, seq| Record::Member {
        group: GroupName::new("g").unwrap(),
        user: user(name),
        joined,
        seq: Seq(seq),
    };
    view.apply(Position(1), &member("b", true, 3));
    view.apply(Position(2), &member("a", true, 4));
    assert_eq!(
        activate(&view, &ConversationId::group(&group)).members,
        [(user("a"), Seq(4)), (user("b"), Seq(3))]
    );
    view.apply(Position(3), &member("b", false, 5));
    assert!(view.is_member(&group, &user("a")) && !view.is_member(&group, &user("b")));
    view.apply(Position(4), &member("a", false, 6));
    assert!(view.members.is_empty());
}

/// A view that keeps a tail only says of a page what the whole one says, or nothing.
#[test]
fn a_tail_says_what_the_whole_says() {
    let seed = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (alice, bob) = (UserName::new("alice").unwrap(), UserName::new("bob").unwrap());
    let conversation = ConversationId::private(&alice, &bob);
    let (mut whole, mut tail) = (MemoryView::new(64 << 20), MemoryView::of_tails(6000));
    let (mut head, mut answered, mut first) = (Seq(0), 0, Seq(0));
    for n in 1..400 {
        let seq = Seq(head.0 + random.random_range(1..4));
        let message = MessageRecord {
            conversation: conversation.clone(),
            seq,
            prev: head,
            time: Millis(seq.0),
            from: alice.clone(),
            target: Target::User(bob.clone()),
            id: None,
            kind: PayloadKind::Bytes,
            bytes: vec![7; random.random_range(1..200)].into(),
        };
        head = seq;
        first = if first == Seq(0) { seq } else { first };
        whole.apply(Position(n), &Record::Message(Arc::new(message.clone())));
        // Now and then one does not come this way.
        if random.random_ratio(29, 30) {
            tail.goes_on(&message);
        } else {
            continue;
        }
        let mut bound =
            || random.random_ratio(1, 2).then(|| Seq(random.random_range(head.0 / 2..head.0 + 5)));
        let (before, after) = (bound(), bound());
        let (limit, bytes) = (random.random_range(1..30), random.random_range(1..9000));
        let range = Range { before, after, limit, bytes };
        if let Some(page) = tail.page(&conversation, range, first) {
            answered += 1;
            let expected = whole.read(&conversation, range);
            assert_eq!(page.messages, expected.messages, "{range:?}");
            assert_eq!((page.first, page.more), (expected.first, expected.more), "{range:?}");
        }
        if let Some((messages, more, _)) = tail.newest(&conversation, &bob, after, bytes) {
            answered += 1;
            let look = Look { conversation: conversation.clone(), after, cursor: Cursor::default() };
            let looks = Looks { user: bob.clone(), looks: vec![look], bytes };
            let expected = whole.survey(&looks).remove(0).unwrap();
            assert_eq!(
                (messages, more),
                (expected.messages, expected.more),
                "after {after:?}, {bytes} bytes"
            );
        }
    }
    assert!(answered > 50, "{answered}");
}
