//! One of each command and of each event, made of any parts. Knows the wire's types, no encoding.

use longwire::ids::{ConversationId, DeviceName, GroupName, Millis, Seq, SessionId, ShardId, UserName};
use longwire::wire::{
    Command, Credential, Durability, ErrorCode, Event, Limits, Payload, PayloadKind, Request, StoredMessage,
    SyncedConversation, Target,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;

/// What commands and events are made of.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    user: UserName,
    other: UserName,
    group: GroupName,
    device: DeviceName,
    id: String,
    /// One JSON value.
    json: String,
    text: String,
    bytes: Vec<u8>,
    users: Vec<UserName>,
    /// Below 2^53.
    numbers: [u64; 3],
    /// 1 to 256 bytes.
    token: String,
    small: [u32; 2],
    flag: bool,
}

/// The values given, each of which is what its pattern says. The patterns have to cover the type: a variant that has no
/// example does not compile.
macro_rules! one_of_each {
    ($type:ty: $($pattern:pat => [$($example:expr),+ $(,)?]),+ $(,)?) => {{
        let _covered = |value: &$type| match value {
            $($pattern => {})+
        };
        let mut examples = Vec::new();
        $($(
            let example = $example;
            assert!(matches!(example, $pattern), "{example:?} stands in the wrong place");
            examples.push(example);
        )+)+
        examples
    }};
}

impl Parts {
    /// Parts without anything odd.
    pub(crate) fn plain() -> Self {
        let user = |name| UserName::new(name).expect("a name");
        Self {
            user: user("alice"),
            other: user("bob"),
            group: GroupName::new("garden").expect("a name"),
            device: DeviceName::new("phone").expect("a name"),
            id: "a1".into(),
            json: r#"{"text":"Lunch?","at":[12, 30]}"#.into(),
            text: "Lunch?".into(),
            bytes: vec![0, 0xff],
            users: vec![user("alice"), user("bob")],
            numbers: [7, 4096, 1_700_000_000_000],
            token: "dTphbGljZTpib2I".into(),
            small: [3, 20],
            flag: true,
        }
    }

    /// The content, of each kind.
    pub(crate) fn payloads(&self) -> Vec<Payload<'_>> {
        one_of_each!(PayloadKind:
            PayloadKind::Json => [PayloadKind::Json],
            PayloadKind::Text => [PayloadKind::Text],
            PayloadKind::Bytes => [PayloadKind::Bytes],
        )
        .into_iter()
        .map(|kind| {
            let bytes = match kind {
                PayloadKind::Json => self.json.as_bytes(),
                PayloadKind::Text => self.text.as_bytes(),
                PayloadKind::Bytes => &self.bytes,
            };
            Payload { kind, bytes }
        })
        .collect()
    }

    /// Each command, with what may be left out given and not.
    pub(crate) fn commands(&self) -> Vec<Request<'_>> {
        let (user, group) = (|| self.other.clone(), || self.group.clone());
        let private = ConversationId::private(&self.user, &self.other);
        let username = Credential::Username(self.user.clone());
        let token = Credential::Token(self.text.as_str().into());
        let [before, after, _] = self.numbers.map(Seq);
        let commands = one_of_each!(Command<'_>:
            Command::Auth { .. } => [
                Command::Auth { credential: username, device: Some(self.device.clone()) },
                Command::Auth { credential: token, device: None },
            ],
            Command::Message { .. } => [
                Command::Message { target: Target::User(user()), payload: self.payloads()[0] },
                Command::Message { target: Target::User(user()), payload: self.payloads()[1] },
                Command::Message { target: Target::Group(group()), payload: self.payloads()[0] },
                Command::Message { target: Target::Group(group()), payload: self.payloads()[2] },
                Command::Message { target: Target::Everyone, payload: self.payloads()[0] },
            ],
            Command::JoinGroup { .. } => [Command::JoinGroup { group: group() }],
            Command::LeaveGroup { .. } => [Command::LeaveGroup { group: group() }],
            Command::Members { .. } => [
                Command::Members { group: group(), after: None },
                Command::Members { group: group(), after: Some(user()) },
            ],
            Command::Typing { .. } => [
                Command::Typing { target: Target::User(user()) },
                Command::Typing { target: Target::Group(group()) },
            ],
            Command::History { .. } => [
                Command::History {
                    conversation: private.clone(),
                    before: Some(before),
                    after: Some(after),
                    limit: Some(self.small[1].max(1)),
                },
                Command::History {
                    conversation: ConversationId::group(&self.group),
                    before: None,
                    after: Some(Seq(0)),
                    limit: None,
                },
            ],
            Command::Sync { .. } => [
                Command::Sync { cursors: Vec::new(), next: None },
                Command::Sync { cursors: self.cursors(), next: None },
                Command::Sync { cursors: self.cursors(), next: Some(self.token.as_str().into()) },
            ],
            Command::Received { .. } => [Command::Received { conversation: private.clone(), seq: at_least_1(before) }],
            Command::Read { .. } => [Command::Read { conversation: private, seq: at_least_1(after) }],
            Command::Ping => [Command::Ping],
        );
        let mut requests = Vec::new();
        for command in commands {
            requests.push(Request { id: None, command: command.clone() });
            requests.push(Request { id: Some(self.id.as_str().into()), command });
        }
        requests
    }

    /// What a device holds of each conversation that there is a name for.
    fn cursors(&self) -> Vec<(ConversationId, Seq)> {
        let private = self.users.iter().map(|user| ConversationId::private(&self.user, user));
        let all: BTreeSet<_> = private.chain([ConversationId::group(&self.group)]).collect();
        all.into_iter().zip(self.numbers.into_iter().cycle()).map(|(name, seq)| (name, Seq(seq))).collect()
    }

    /// Calls `check` with each event, with what may be left out given and not.
    pub(crate) fn with_events(&self, check: impl Fn(&Event<'_>)) {
        let targets = one_of_each!(Target:
            Target::User(_) => [Target::User(self.other.clone())],
            Target::Group(_) => [Target::Group(self.group.clone())],
            Target::Everyone => [Target::Everyone],
        );
        let conversations =
            [ConversationId::private(&self.user, &self.other), ConversationId::group(&self.group)];
        let mut messages = Vec::new();
        // A message to everyone is no stored one.
        for (target, conversation) in targets.iter().zip(&conversations) {
            for payload in self.payloads() {
                messages.push(self.stored(target, conversation, payload, None));
                messages.push(self.stored(target, conversation, payload, Some(&self.id)));
            }
        }
        messages.iter().for_each(|message| check(&Event::Message(*message)));
        for payload in self.payloads() {
            check(&Event::Broadcast { from: &self.user, payload, time: Millis(self.numbers[2]) });
        }
        for id in [None, Some(&*self.id)] {
            self.answers(id, &conversations[0], &messages).iter().for_each(&check);
            self.synced(id, &conversations, &messages, &check);
        }
        for target in &targets[..2] {
            check(&Event::Typing { from: &self.user, target });
        }
    }

    fn stored<'a>(
        &'a self,
        target: &'a Target,
        conversation: &'a ConversationId,
        payload: Payload<'a>,
        id: Option<&'a str>,
    ) -> StoredMessage<'a> {
        let [prev, seq, time] = self.numbers;
        let (seq, prev, time) = (Seq(seq), Seq(prev), Millis(time));
        StoredMessage { from: &self.user, target, payload, id, conversation, seq, prev, time }
    }

    /// Calls `check` with what `sync` may be answered.
    fn synced(
        &self,
        id: Option<&str>,
        conversations: &[ConversationId; 2],
        messages: &[StoredMessage<'_>],
        check: impl Fn(&Event<'_>),
    ) {
        let [head, first, read] = self.numbers.map(Seq);
        let (unread, more) = (self.small[0], self.flag);
        let full =
            SyncedConversation { conversation: &conversations[0], head, first, read, unread, messages, more };
        let empty = SyncedConversation { conversation: &conversations[1], messages: &[], ..full };
        for conversations in [&[][..], &[full], &[empty, full, empty]] {
            check(&Event::Sync { id, conversations, next: None });
            check(&Event::Sync { id, conversations, next: Some(&self.token) });
        }
    }

    /// One of each event; some of them answer a command that had this `id`.
    fn answers<'a>(
        &'a self,
        id: Option<&'a str>,
        conversation: &'a ConversationId,
        messages: &'a [StoredMessage<'a>],
    ) -> Vec<Event<'a>> {
        let Self { user, group, users, flag, .. } = self;
        let (more, joined, duplicate) = (*flag, *flag, *flag);
        let [prev, seq, first] = self.numbers.map(Seq);
        let [heartbeat, left, time] = self.numbers;
        let (time, [members, generation]) = (Millis(time), self.small);
        let session = SessionId { shard: ShardId(7), index: members, generation };
        let limits = Limits { message_size: members, websocket_message_size: generation };
        let (said, wait) = (id.is_some(), 1 + left);
        one_of_each!(Event<'_>:
            Event::Authenticated { .. } => [Event::Authenticated { id, user, session, heartbeat, time, limits }],
            Event::Message(_) => [Event::Message(messages[0])],
            Event::Broadcast { .. } => [Event::Broadcast { from: user, payload: messages[0].payload, time }],
            Event::Ack { .. } => [Event::Ack {
                id: &self.id,
                conversation,
                seq,
                prev,
                time,
                durability: Durability::Memory,
                duplicate,
            }],
            Event::BroadcastAck { .. } => [Event::BroadcastAck { id: &self.id, time }],
            Event::Joined { .. } => [Event::Joined { id, group, members, seq }],
            Event::Left { .. } => [Event::Left { id, group }],
            Event::GroupEvent { .. } => [Event::GroupEvent { group, joined, user, members }],
            Event::Members { .. } => [
                Event::Members { id, group, users, more },
                Event::Members { id, group, users: &[], more },
            ],
            Event::History { .. } => [
                Event::History { id, conversation, messages, first, more },
                Event::History { id, conversation, messages: &[], first, more },
            ],
            Event::Sync { .. } => [Event::Sync { id, conversations: &[], next: None }],
            Event::Receipt { .. } => [
                Event::Receipt { conversation, from: user, received: Some(at_least_1(seq)), read: None },
                Event::Receipt { conversation, from: user, received: None, read: Some(at_least_1(prev)) },
                Event::Receipt {
                    conversation,
                    from: user,
                    received: Some(at_least_1(seq)),
                    read: Some(at_least_1(prev)),
                },
            ],
            Event::Typing { .. } => [Event::Typing { from: user, target: messages[0].target }],
            Event::Pong { .. } => [Event::Pong { id, time }],
            Event::Resync => [Event::Resync],
            Event::Expiring { .. } => [Event::Expiring { left }],
            Event::Error { .. } => [Event::Error {
                code: if *flag { ErrorCode::BadRequest } else { ErrorCode::Unavailable },
                reason: &self.text,
                command: said.then_some("joinGroup"),
                id,
                retry_after: said.then_some(wait),
            }],
        )
    }
}

/// A message's number; 0 is none's.
fn at_least_1(seq: Seq) -> Seq {
    seq.max(Seq(1))
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-zé\"\\\\/😀-]{1,16}",
        1 => "[!-9;-~]{64}",
        1 => "é{32}",
        1 => Just("\u{200b}\u{feff}".to_owned()),
    ]
}

/// Any text, often empty.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![1 => Just(String::new()), 8 => any::<String>(), 1 => "\\PC{300}"]
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(5, 30, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((any::<String>(), inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    let written =
        |(value, pretty): (Value, bool)| if pretty { format!("{value:#}") } else { value.to_string() };
    prop_oneof![
        9 => (value, any::<bool>()).prop_map(written),
        1 => prop::sample::select(vec![r#""\ud83d\ude00""#, "-0.0e-5", "1E+308", r#"{"a":1,"a":2}"#, r#""\u0000""#])
            .prop_map(str::to_owned),
    ]
}

/// A number below 2^53, often 0 or the last.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0), 8 => 0..1_u64 << 53, 1 => Just((1 << 53) - 1)]
}

/// Any parts.
pub(crate) fn parts() -> impl Strategy<Value = Parts> {
    let user = || name().prop_map(|name| UserName::new(&name).expect("a name"));
    let names = (user(), user(), name(), name(), vec(user(), 0..5));
    let id = any::<String>().prop_filter("1 to 64 bytes", |id| (1..=64).contains(&id.len()));
    let contents = (json(), text(), vec(any::<u8>(), 0..300));
    let token = any::<String>().prop_filter("1 to 256 bytes", |token| (1..=256).contains(&token.len()));
    let numbers = ([number(), number(), number()], any::<[u32; 2]>(), any::<bool>(), token);
    (names, id, contents, numbers).prop_map(|(names, id, contents, numbers)| {
        let (user, other, group, device, users) = names;
        let group = GroupName::new(&group).expect("a name");
        let device = DeviceName::new(&device).expect("a name");
        let (json, text, bytes) = contents;
        let (numbers, small, flag, token) = numbers;
        Parts { user, other, group, device, id, json, text, bytes, users, numbers, token, small, flag }
    })
}
