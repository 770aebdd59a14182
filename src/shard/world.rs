//! The rules' effects made real on one shard: frames to the plane, mail to the mailroom, records to the log. Knows no rule.

use super::mailbox::{Envelope, Mailroom};
use super::spoken::Spoken;
use super::storage::Storage;
use crate::chat::{Effects, Mail, ReadId};
use crate::frame::{Class, Frame, Frames};
use crate::ids::{ConnId, ConversationId, PartitionId, ShardId};
use crate::log::{Outcome, Record, Refused, Ticket};
use crate::metrics::{Counter, Histogram, Histograms};
use crate::net::frame::{self, Opcode};
use crate::net::plane::Plane;
use crate::store::Want;
use crate::view::{Looks, Range, Recall};
use crate::wire::{CloseCode, Encoding, Event};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// What a shard's rules act upon, besides the plane.
#[derive(Debug)]
pub struct Io {
    /// Mail to other shards.
    pub mailroom: Mailroom,
    /// The log of this shard's partitions, and what its records amount to.
    pub storage: Storage,
    /// Which encodings there are sessions of.
    pub spoken: Spoken,
    scratch: Vec<u8>,
    outcomes: Vec<Outcome>,
    /// Appends without an outcome yet: since when, and how many of that poll's turn.
    appended: VecDeque<(Instant, usize)>,
    appended_now: bool,
}

impl Io {
    /// With nothing on its way.
    pub fn new(mailroom: Mailroom, storage: Storage, spoken: Spoken) -> Self {
        Self {
            mailroom,
            storage,
            spoken,
            scratch: Vec::new(),
            outcomes: Vec::new(),
            appended: VecDeque::new(),
            appended_now: false,
        }
    }

    /// Encodes an event in one encoding, as a whole frame.
    fn encode(&mut self, encoding: Encoding, event: &Event<'_>) -> Frame {
        frame::begin(&mut self.scratch);
        encoding.encode(event, &mut self.scratch);
        Frame::new(frame::finish(&mut self.scratch, Opcode::of_message(encoding.is_text())))
    }

    /// Takes the log's outcomes; what was committed is in whatever is read after this.
    pub fn outcomes(&mut self, histograms: &mut Histograms) -> Vec<Outcome> {
        let mut outcomes = std::mem::take(&mut self.outcomes);
        self.storage.outcomes(&mut outcomes);
        self.appended_now = false;
        self.time_appends(outcomes.len(), histograms);
        outcomes
    }

    /// Appends of one turn share one reading of the clock, and outcomes come in their order.
    fn time_appends(&mut self, mut outcomes: usize, histograms: &mut Histograms) {
        while outcomes > 0
            && let Some((since, count)) = self.appended.front_mut()
        {
            let known = outcomes.min(*count);
            histograms.took(Histogram::Append, since.elapsed(), known as u64);
            outcomes -= known;
            *count -= known;
            if *count == 0 {
                self.appended.pop_front();
            }
        }
    }

    fn note_append(&mut self) {
        if !std::mem::replace(&mut self.appended_now, true) {
            self.appended.push_back((Instant::now(), 0));
        }
        if let Some((_, count)) = self.appended.back_mut() {
            *count += 1;
        }
    }

    /// Gives the list of outcomes back for reuse.
    pub fn recycle(&mut self, mut outcomes: Vec<Outcome>) {
        outcomes.clear();
        self.outcomes = outcomes;
    }
}

/// One call into the rules: what they may do.
#[derive(Debug)]
pub(super) struct World<'a> {
    /// The plane.
    pub net: &'a mut Plane,
    /// Everything else.
    pub io: &'a mut Io,
}

impl Effects for World<'_> {
    fn encode(&mut self, event: &Event<'_>) -> Frames {
        let spoken = Encoding::ALL.map(|encoding| self.io.spoken.anywhere(encoding));
        Frames::of_spoken(spoken, |n| self.encode_in(Encoding::ALL[n], event))
    }

    fn encode_in(&mut self, encoding: Encoding, event: &Event<'_>) -> Frame {
        self.net.counters.count(match encoding {
            Encoding::Json => Counter::EncodedJson,
            Encoding::Proto => Counter::EncodedProto,
        });
        self.io.encode(encoding, event)
    }

    fn session_begins(&mut self, encoding: Encoding) {
        self.io.spoken.begins(encoding);
    }

    fn session_ended(&mut self, encoding: Encoding) {
        self.io.spoken.ended(encoding);
    }

    fn send(&mut self, conn: ConnId, frame: &Frame, class: Class) {
        self.net.send(conn, frame, class);
    }

    fn close(&mut self, conn: ConnId, code: CloseCode, reason: &str) {
        self.net.close(conn, code, reason);
    }

    fn mail(&mut self, to: ShardId, mail: Mail) {
        self.io.mailroom.post(to, Envelope::Chat(mail), &mut self.net.counters);
    }

    fn accepts(&self, to: ShardId) -> bool {
        self.io.mailroom.accepts(to)
    }

    fn append(&mut self, partition: PartitionId, record: Record) -> Result<Ticket, Refused> {
        let ticket = self.io.storage.append(partition, record)?;
        self.io.note_append();
        Ok(ticket)
    }

    fn activate(&mut self, conversation: &ConversationId, recall: Recall) {
        self.io.storage.ask(Want::Activation(conversation.clone(), recall));
    }

    fn read(&mut self, read: ReadId, conversation: &ConversationId, range: Range) {
        self.io.storage.ask(Want::Page(read.0, conversation.clone(), range));
    }

    fn survey(&mut self, read: ReadId, looks: Arc<Looks>) {
        self.io.storage.ask(Want::Survey(read.0, looks));
    }

    fn count(&mut self, counter: Counter) {
        self.net.counters.count(counter);
    }
}
