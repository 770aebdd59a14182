//! One session as its client sees it. Checks every frame it gets.

use crate::truth::{Name, Truth};
use longwire::ids::{ConversationId, GroupName, Parties, SessionId};
use longwire::wire::Encoding;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What the clients of a run saw, so that a run in which nothing happens is noticed.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Seen {
    pub(crate) private: u32,
    pub(crate) group: u32,
    pub(crate) acks: u32,
    pub(crate) repeated: u32,
    pub(crate) joined: u32,
    pub(crate) left: u32,
    pub(crate) conflicts: u32,
    pub(crate) forbidden: u32,
    pub(crate) unavailable: u32,
    pub(crate) resyncs: u32,
    pub(crate) synced: u32,
    pub(crate) receipts: u32,
    pub(crate) other: u32,
    pub(crate) crashes: u32,
    pub(crate) trimmed: u32,
    pub(crate) deleted: u32,
    pub(crate) unencoded: u32,
    /// Messages that reached a shard without the encoding of someone they were for.
    pub(crate) late_private: u32,
    pub(crate) late_group: u32,
}

impl Seen {
    pub(crate) fn see(&mut self, event: &Value) {
        let counter = match (event["type"].as_str(), event["code"].as_u64()) {
            (Some("message"), _) if event["to"].is_string() => &mut self.private,
            (Some("message"), _) if event["group"].is_string() => &mut self.group,
            (Some("ack"), _) if event["duplicate"] == true => &mut self.repeated,
            (Some("ack"), _) => &mut self.acks,
            (Some("joined"), _) => &mut self.joined,
            (Some("left"), _) => &mut self.left,
            (Some("resync"), _) => &mut self.resyncs,
            (Some("sync"), _) => &mut self.synced,
            (Some("receipt"), _) => &mut self.receipts,
            (_, Some(409)) => &mut self.conflicts,
            (_, Some(403)) => &mut self.forbidden,
            (_, Some(503)) => &mut self.unavailable,
            _ => &mut self.other,
        };
        *counter += 1;
    }
}

pub(crate) struct Client {
    pub(crate) user: String,
    pub(crate) session: SessionId,
    pub(crate) encoding: Encoding,
    pub(crate) alive: bool,
    /// How much mail its shard had written to each shard when it was signed in: after that, they know of it.
    pub(crate) known_after: Vec<u64>,
    /// Ids of commands not answered yet, with how much was committed when they were sent.
    pub(crate) waiting: HashMap<String, u64>,
    /// What it sent, by the number in it.
    pub(crate) wrote: HashSet<u64>,
    last: HashMap<ConversationId, u64>,
    pub(crate) got: BTreeMap<Name, u32>,
    acked: HashSet<Name>,
    /// Where a conversation stood when its first `sync` was answered: what came after that must have come live.
    pub(crate) synced_at: HashMap<ConversationId, u64>,
    pub(crate) resyncs: u32,
    /// `resyncs` must come to be more than this.
    pub(crate) owed_after: Option<u32>,
    /// How much was committed when it signed in.
    pub(crate) came_at: u64,
    /// What was written before its encoding was spoken; a group's, with its place in the order of commits, is for those
    /// who stay. All of it was stored before the client came, so that one `resync` tells of it, whenever that comes.
    late: Vec<Option<(GroupName, u64)>>,
}

fn name(event: &Value) -> Name {
    let conversation = ConversationId::parse(event["conversation"].as_str().unwrap()).unwrap();
    (conversation, event["seq"].as_u64().unwrap())
}

impl Client {
    pub(crate) fn new(
        user: &str,
        session: SessionId,
        encoding: Encoding,
        known_after: Vec<u64>,
        came_at: u64,
    ) -> Self {
        Self {
            user: user.to_owned(),
            session,
            encoding,
            alive: true,
            known_after,
            waiting: HashMap::new(),
            wrote: HashSet::new(),
            last: HashMap::new(),
            got: BTreeMap::new(),
            acked: HashSet::new(),
            synced_at: HashMap::new(),
            resyncs: 0,
            owed_after: None,
            came_at,
            late: Vec::new(),
        }
    }

    /// A message for it was written before its encoding was spoken: a private one, or a group's.
    pub(crate) fn came_late(&mut self, group: Option<(GroupName, u64)>) {
        self.late.push(group);
    }

    pub(crate) fn is_told_of_the_late(&self, truth: &Truth) -> bool {
        let mut late = self.late.iter().map(|group| group.as_ref());
        let owed = late.any(|group| {
            group.is_none_or(|(group, order)| truth.stayed_member(group.as_str(), &self.user, *order))
        });
        !owed || self.resyncs > 0
    }

    /// One frame from the server.
    pub(crate) fn receive(&mut self, event: &Value, truth: &Truth) {
        let kind = event["type"].as_str().unwrap();
        match kind {
            "message" if event["conversation"].is_string() => self.message(event, truth),
            "message" | "typing" | "groupEvent" => {
                assert!(event["from"] != self.user.as_str() || kind == "message", "{event}");
            }
            "ack" => {
                self.answered(event);
                if event["conversation"].is_string() {
                    self.ack(event, truth);
                }
            }
            "resync" => self.resyncs += 1,
            "sync" => {
                let asked = self.answered(event);
                self.synced(event, asked, truth);
            }
            "receipt" => Self::receipt(event, &self.user, truth),
            "history" => {
                let asked = self.answered(event);
                let conversation = ConversationId::parse(event["conversation"].as_str().unwrap()).unwrap();
                Self::page(event, &conversation, asked, truth);
            }
            _ => {
                self.answered(event);
            }
        }
    }

    /// How much was committed when the command was sent, if it had an id.
    fn answered(&mut self, event: &Value) -> u64 {
        let Some(id) = event["id"].as_str() else { return 0 };
        let asked = self.waiting.remove(id);
        asked.unwrap_or_else(|| panic!("{}: one answer to each command: {event}", self.user))
    }

    fn grows(&mut self, name: &Name) {
        let last = self.last.entry(name.0.clone()).or_default();
        assert!(name.1 > *last, "{} sees {} {} after {last}", self.user, name.0, name.1);
        *last = name.1;
    }

    fn ack(&mut self, event: &Value, truth: &Truth) {
        let name = name(event);
        let committed = &truth.messages[&name];
        let record = &committed.record;
        assert_eq!(record.from.as_str(), self.user);
        assert_eq!(record.id.as_deref(), event["id"].as_str());
        assert_eq!(
            (Some(record.prev.0), Some(record.time.0)),
            (event["prev"].as_u64(), event["time"].as_u64())
        );
        if event["duplicate"] != true {
            self.grows(&name);
            assert!(!self.got.contains_key(&name), "{event}: never to the sending session");
            self.acked.insert(name);
        }
    }

    fn message(&mut self, event: &Value, truth: &Truth) {
        let name = name(event);
        self.grows(&name);
        let committed = &truth.messages[&name];
        let (record, user) = (&committed.record, self.user.as_str());
        assert_eq!(serde_json::from_slice::<Value>(&record.bytes).unwrap(), event["message"]);
        assert_eq!(
            (event["from"].as_str(), event["id"].as_str()),
            (Some(record.from.as_str()), record.id.as_deref())
        );
        assert_eq!(Some(record.prev.0), event["prev"].as_u64());
        assert!(!self.acked.contains(&name), "{event}: never to the sending session");
        match name.0.parties() {
            Parties::Private(a, b) => assert!(user == a || user == b, "{user} is no party: {event}"),
            Parties::Group(group) => {
                assert!(truth.was_member(group, user, committed.order), "{user} is no member: {event}");
            }
        }
        let times = self.got.entry(name).or_default();
        *times += 1;
        assert_eq!(*times, 1, "{event}: at most once");
    }

    /// Each conversation stands as the log says, at some time since the `sync` was sent.
    fn synced(&mut self, event: &Value, asked: u64, truth: &Truth) {
        for found in event["conversations"].as_array().unwrap() {
            let conversation = ConversationId::parse(found["conversation"].as_str().unwrap()).unwrap();
            let number = |field: &str| found[field].as_u64().unwrap();
            let (head, read, unread) = (number("head"), number("read"), number("unread"));
            assert!(read <= head && head <= truth.head_of(&conversation), "{found}");
            // What went meanwhile may count or not.
            let above = |first: u64| {
                truth.others_between(&conversation, &self.user, read.max(first.saturating_sub(1)), head)
            };
            let most = above(truth.first_at(&conversation, asked));
            let least = above(truth.may_be_gone_below(&conversation));
            assert!((least..=most).contains(&unread), "{} {found}: {least} to {most}", self.user);
            Self::page(found, &conversation, asked, truth);
            let messages = found["messages"].as_array().unwrap();
            let newest = messages.last().map(|last| last["seq"].as_u64().unwrap());
            assert!(newest.is_none_or(|newest| newest == head), "the newest are told: {found}");
            if let Some(group) = conversation.as_str().strip_prefix("g:") {
                assert!(truth.was_ever_member(group, &self.user), "{} in {found}", self.user);
            }
            self.synced_at.entry(conversation).or_insert(head);
        }
    }

    fn receipt(event: &Value, user: &str, truth: &Truth) {
        let conversation = ConversationId::parse(event["conversation"].as_str().unwrap()).unwrap();
        assert_ne!(event["from"], *user, "to the other side");
        let number = |field: &str| event[field].as_u64().unwrap_or(0);
        let (received, read) = (number("received"), number("read"));
        assert!(read <= received && received <= truth.head_of(&conversation), "{event}");
    }

    /// Nothing is in it that was gone when it was asked for, and between its messages none is missing.
    fn page(event: &Value, conversation: &ConversationId, asked: u64, truth: &Truth) {
        let (first, least) = (event["first"].as_u64().unwrap(), truth.first_at(conversation, asked));
        assert!(first == 0 || first >= least, "it begins at {least}: {event}");
        let messages = &event["messages"].as_array().unwrap()[..];
        assert!(messages.is_sorted_by(|a, b| a["seq"].as_u64() < b["seq"].as_u64()));
        for message in messages {
            let name = name(message);
            let committed = &truth.messages[&name];
            assert_eq!(serde_json::from_slice::<Value>(&committed.record.bytes).unwrap(), message["message"]);
            assert!(name.0 == *conversation && name.1 >= least, "what went at {least} is back: {event}");
        }
        if let [low, .., high] = messages {
            let (low, high) = (low["seq"].as_u64().unwrap(), high["seq"].as_u64().unwrap());
            let all = truth.messages.range((conversation.clone(), low)..=(conversation.clone(), high));
            assert_eq!(all.count(), messages.len(), "{event}");
        }
    }
}
