//! One shard's surroundings: what the rules ask for is kept until the world moves it. The log delays and fails.

use crate::scribe::SharedScribe;
use crate::truth::Shared;
use longwire::chat::{Effects, Mail, MailClass, ReadId};
use longwire::frame::{Class, Frame, Frames};
use longwire::ids::{ConnId, ConversationId, PartitionId, Seq, ShardId};
use longwire::log::{Durability, Outcome, Position, Record, Refused, Ticket};
use longwire::metrics::Counter;
use longwire::route::Router;
use longwire::view::{Activation, Looks, MemoryView, Range, Recall, View};
use longwire::wire::{CloseCode, Encoding, Event};
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::VecDeque;
use std::sync::Arc;

/// The log is full beyond this (records).
const LOG_QUEUE: usize = 40;
/// A link takes no new commands beyond this (mails).
const LINK_BUSY: usize = 200;

pub(crate) struct Host {
    pub(crate) shard: ShardId,
    router: Router,
    truth: Shared,
    pub(crate) view: MemoryView,
    head: u64,
    next: u64,
    pub(crate) queue: VecDeque<(Ticket, PartitionId, Record)>,
    /// To each shard, in order.
    pub(crate) links: Vec<VecDeque<Mail>>,
    /// How many mails were ever put on each link, and taken off it.
    pub(crate) mailed: Vec<u64>,
    pub(crate) arrived: Vec<u64>,
    pub(crate) activations: Vec<(ConversationId, Recall)>,
    pub(crate) reads: Vec<(ReadId, ConversationId, Range)>,
    pub(crate) surveys: Vec<(ReadId, Arc<Looks>)>,
    pub(crate) sent: Vec<(ConnId, Frame)>,
    pub(crate) closed: Vec<(ConnId, CloseCode)>,
    pub(crate) slice: u32,
    /// Deliveries to a session whose encoding nobody spoke when they were written.
    pub(crate) unencoded: u32,
    scribe: SharedScribe,
}

impl Host {
    pub(crate) fn new(shard: ShardId, router: Router, truth: Shared, scribe: SharedScribe) -> Self {
        let shards = usize::from(router.shards());
        Self {
            shard,
            router,
            truth,
            view: MemoryView::new(1 << 20),
            head: 0,
            next: 0,
            queue: VecDeque::new(),
            links: vec![VecDeque::new(); shards],
            mailed: vec![0; shards],
            arrived: vec![0; shards],
            activations: Vec::new(),
            reads: Vec::new(),
            surveys: Vec::new(),
            sent: Vec::new(),
            closed: Vec::new(),
            slice: 0,
            unencoded: 0,
            scribe,
        }
    }

    /// Tells the outcome of some appends. Where one fails, so does all behind it in its partition.
    pub(crate) fn poll(&mut self, rng: &mut StdRng, failing: bool) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for _ in 0..rng.random_range(1..=self.queue.len().max(1)) {
            let Some((ticket, partition, record)) = self.queue.pop_front() else { break };
            if !failing || rng.random_bool(0.9) {
                let position = self.store(&record);
                outcomes.push(Outcome::Committed(ticket, position, Durability::Memory));
                continue;
            }
            let mut lost = vec![(ticket, record)];
            let all = std::mem::take(&mut self.queue);
            for (ticket, other, record) in all {
                if other == partition {
                    lost.push((ticket, record));
                } else {
                    self.queue.push_back((ticket, other, record));
                }
            }
            // Of what is unknown, a first part was written, which the view learns in time.
            let written = rng.random_range(0..=lost.len());
            let unknown = rng.random_bool(0.5);
            for (n, (ticket, record)) in lost.into_iter().enumerate() {
                if unknown && n < written {
                    self.store(&record);
                    if let Record::Message(message) = &record {
                        let name = (message.conversation.clone(), message.seq.0);
                        self.truth.borrow_mut().unknown.insert(name);
                    }
                }
                outcomes.push(if unknown { Outcome::Unknown(ticket) } else { Outcome::Failed(ticket) });
            }
        }
        outcomes
    }

    /// All is gone but what is stored, and a first part of what was queued has come to be stored.
    pub(crate) fn crash(&mut self, rng: &mut StdRng) {
        for _ in 0..rng.random_range(0..=self.queue.len()) {
            let Some((_, _, record)) = self.queue.pop_front() else { break };
            self.store(&record);
        }
        self.queue.clear();
        self.links.iter_mut().for_each(VecDeque::clear);
        self.mailed.fill(0);
        self.arrived.fill(0);
        self.activations.clear();
        self.reads.clear();
        self.surveys.clear();
        self.sent.clear();
        self.closed.clear();
    }

    /// Deletes a conversation while no server runs, as `longwire store delete` does, if there is something of it.
    pub(crate) fn delete(&mut self, conversation: &ConversationId) {
        let Activation { head, members, .. } = self.view.activate(conversation, &Recall::default());
        if head != Seq(0) || !members.is_empty() {
            let record = Record::Delete { conversation: conversation.clone(), first: Seq(head.0 + 1) };
            self.store(&record);
        }
    }

    /// Nothing is said before it is true.
    fn check(&self, event: &Event<'_>) {
        let truth = self.truth.borrow();
        if let Event::Ack { conversation, seq, .. } = *event {
            assert!(truth.has(conversation, seq), "{conversation} {}: an ack implies its durability", seq.0);
        }
        if let Event::Message(message) = *event {
            assert!(truth.has(message.conversation, message.seq), "a message is delivered once it is stored");
        }
    }

    fn store(&mut self, record: &Record) -> Position {
        self.head += 1;
        let position = Position(self.head);
        self.truth.borrow_mut().committed(record);
        self.view.apply(position, record);
        position
    }
}

impl Effects for Host {
    fn encode(&mut self, event: &Event<'_>) -> Frames {
        self.check(event);
        self.scribe.borrow_mut().write_all(event)
    }

    fn encode_in(&mut self, encoding: Encoding, event: &Event<'_>) -> Frame {
        self.check(event);
        self.scribe.borrow_mut().write_for(encoding, event)
    }

    fn session_begins(&mut self, encoding: Encoding) {
        self.scribe.borrow_mut().session_begins(encoding);
    }

    fn session_ended(&mut self, encoding: Encoding) {
        self.scribe.borrow_mut().session_ended(encoding);
    }

    fn send(&mut self, conn: ConnId, frame: &Frame, class: Class) {
        self.slice += u32::from(!matches!(class, Class::Reply | Class::Told));
        self.sent.push((conn, frame.clone()));
    }

    fn close(&mut self, conn: ConnId, code: CloseCode, _reason: &str) {
        self.closed.push((conn, code));
    }

    fn mail(&mut self, to: ShardId, mail: Mail) {
        assert_ne!(to, self.shard, "no mail to oneself");
        self.mailed[usize::from(to.0)] += 1;
        self.links[usize::from(to.0)].push_back(mail);
    }

    fn accepts(&self, to: ShardId) -> bool {
        self.links[usize::from(to.0)].len() < LINK_BUSY
    }

    fn append(&mut self, partition: PartitionId, record: Record) -> Result<Ticket, Refused> {
        let conversation = match &record {
            Record::Message(message) => message.conversation.clone(),
            Record::Member { group, .. } => ConversationId::group(group),
            Record::Cursor { conversation, .. }
            | Record::Trim { conversation, .. }
            | Record::Delete { conversation, .. } => conversation.clone(),
        };
        assert_eq!(self.router.home_of_conversation(&conversation), self.shard, "one sequencer");
        assert_eq!(self.router.conversation_partition(&conversation), partition);
        if self.queue.len() >= LOG_QUEUE {
            return Err(Refused::Full);
        }
        self.truth.borrow_mut().appended(&record);
        self.next += 1;
        self.queue.push_back((Ticket(self.next), partition, record));
        Ok(Ticket(self.next))
    }

    fn activate(&mut self, conversation: &ConversationId, recall: Recall) {
        self.activations.push((conversation.clone(), recall));
    }

    fn read(&mut self, read: ReadId, conversation: &ConversationId, range: Range) {
        self.reads.push((read, conversation.clone(), range));
    }

    fn survey(&mut self, read: ReadId, looks: Arc<Looks>) {
        self.surveys.push((read, looks));
    }

    fn count(&mut self, counter: Counter) {
        self.unencoded += u32::from(counter == Counter::Unencoded);
    }
}

/// Whether a mail may be lost on its way.
pub(crate) fn may_be_lost(mail: &Mail) -> bool {
    mail.class() != MailClass::Kept
}
