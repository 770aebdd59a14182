//! The rules: events in, effects out. Knows no I/O, no clock, no lock, no `async`, no encoding.
//!
//! One [`Rules`] per shard, in two roles. As *home of users* it holds sessions ([`people`]), answers what needs nobody
//! else ([`command`]) and brings messages to sessions ([`fanout`]). As *home of conversations* it gives messages their
//! numbers ([`sequence`]), waits for the log ([`outcome`]), brings what is committed to its shards ([`publish`]) and keeps
//! groups ([`group`], [`join`]). A `sync` is both: [`sync`] asks at the user's home, [`survey`] says at the conversations'.
//!
//! Three invariants: a conversation has one sequencer; an ack implies the durability it names; within a conversation
//! a session sees strictly growing `seq`.

mod accounts;
mod answer;
pub mod ask;
mod belongings;
mod broadcast;
mod command;
mod config;
mod conversation;
mod cursors;
pub mod effects;
mod fanout;
mod group;
mod heads;
mod history;
mod ids_loaded;
mod ids_window;
mod interest;
mod job;
mod join;
mod loading;
mod locals;
pub mod mail;
mod membership;
mod outcome;
mod people;
mod publish;
mod send;
mod sequence;
mod session;
mod survey;
mod sync;
mod tails;
#[cfg(test)]
mod tests;
mod topic;
mod trim;

pub use ask::Origin;
pub use command::command_counter;
pub use config::{Config, Rates};
pub use effects::{Effects, ReadId};
pub use mail::{Mail, MailClass};
pub use survey::{Held, SurveyAsk, Synced};

use crate::clock::Now;
use crate::frame::Class;
use crate::ids::ShardId;
use crate::log::Ticket;
use crate::view::Printer;
use crate::wire::Payload;
use hashbrown::HashMap;

/// The part of the budget for heads that users without a session may take (one of so many).
const IDLE_SHARE: usize = 4;

/// One shard's levels, read when scraped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gauges {
    /// Signed-in sessions.
    pub sessions: usize,
    /// Users with a session or a membership.
    pub users: usize,
    /// Conversations active here.
    pub conversations: usize,
    /// Messages on their way to groups' sessions.
    pub fanout_jobs: usize,
    /// Groups with sessions on this shard.
    pub local_groups: usize,
    /// Groups at home here with sessions anywhere.
    pub interests: usize,
    /// Messages remembered by their id.
    pub remembered_ids: usize,
    /// Appends without an outcome yet.
    pub pending: usize,
    /// Reads without an answer yet.
    pub reads: usize,
    /// `sync` answers that are not complete.
    pub syncs: usize,
    /// Cursors to be told or written.
    pub cursors: usize,
    /// What is kept of how conversations stand (bytes).
    pub heads_bytes: usize,
    /// What is kept of conversations' newest messages (bytes).
    pub tails_bytes: usize,
}

/// The rules of one shard.
#[derive(Debug)]
pub struct Rules {
    config: Config,
    people: people::People,
    accounts: accounts::Accounts,
    loading: loading::Loading,
    locals: locals::Locals,
    fan: fanout::Fan,
    broadcasts: broadcast::Broadcasts,
    conversations: conversation::Conversations,
    ids: ids_window::IdWindow,
    /// Appends under way; the log bounds them.
    pending: HashMap<Ticket, outcome::Pending>,
    interests: interest::Interests,
    reads: history::Reads,
    surveys: survey::Surveys,
    syncs: sync::Syncs,
    heads: heads::Heads,
    tails: tails::Tails,
    cursors: cursors::Cursors,
    trims: trim::Trims,
    /// A list of shards, kept for reuse.
    shards: Vec<ShardId>,
}

impl Rules {
    /// The rules of one shard, with nobody there.
    pub fn new(config: Config, _now: Now) -> Self {
        let fingerprints = config.router.fingerprints();
        Self {
            people: people::People::new(
                config.shard,
                config.memberships_stored,
                config.heads_max_bytes / IDLE_SHARE,
            ),
            accounts: accounts::Accounts::default(),
            loading: loading::Loading::default(),
            locals: locals::Locals::default(),
            fan: fanout::Fan::new(config.fanout_slice.max(1)),
            broadcasts: broadcast::Broadcasts::default(),
            conversations: conversation::Conversations::new(
                config.active_conversations_max,
                config.seqs_reserved,
            ),
            ids: ids_window::IdWindow::new(
                Printer::new(fingerprints),
                config.idempotency_max_bytes,
                config.idempotency_window_ms,
            ),
            pending: HashMap::new(),
            interests: interest::Interests::default(),
            reads: history::Reads::default(),
            surveys: survey::Surveys::default(),
            syncs: sync::Syncs::default(),
            heads: heads::Heads::new(
                fingerprints,
                config.heads_max_bytes - config.heads_max_bytes / IDLE_SHARE,
            ),
            tails: tails::Tails::new(config.tails_max_bytes),
            cursors: cursors::Cursors::default(),
            trims: trim::Trims::default(),
            shards: Vec::new(),
            config,
        }
    }

    /// A mail of another shard; mails of one shard come in the order in which they were sent.
    pub fn mail<E: Effects>(&mut self, from: ShardId, mail: Mail, now: Now, fx: &mut E) {
        match mail {
            Mail::Ask(ask) => self.ask(*ask, now, fx),
            Mail::Frame(answer) => self.deliver(&answer, fx),
            Mail::Private { to, from, sender, frames, ack } => {
                self.private_here(to.as_ref(), from.as_ref(), sender, &frames, ack.as_ref(), fx);
            }
            Mail::Group { group, seq, sender, frames, ack } => {
                self.group_here(&group, seq, sender, frames, ack, fx);
            }
            Mail::Notice { to, topic, frames } => {
                self.people.send(&to, None, &frames, Class::Ephemeral(Some(topic)), fx);
            }
            Mail::GroupNotice { group, about, topic, frames } => {
                self.group_notice_here(&group, &about, topic, frames, fx);
            }
            Mail::Joined { group, user, since, answer } => {
                let online = self.joined_here(&group, &user, since, answer.as_ref(), fx);
                self.tell_interest(&group, online, true, fx);
            }
            Mail::NotJoined { user, answer } => self.not_joined_here(&user, &answer, fx),
            Mail::Begun { user } => self.begun_here(&user, now),
            Mail::Left { group, user, answer } => self.left_here(&group, &user, answer.as_ref(), fx),
            Mail::Met { user, other } => self.met_here(&user, &other),
            Mail::Survey(ask) => self.survey(from, *ask, fx),
            Mail::Surveyed(surveyed) => self.gather(*surveyed, fx),
            Mail::Interest { group, online, answers_join } => {
                self.interests.told(&group, from, online, answers_join);
            }
            Mail::Broadcast(ask) => {
                let payload = Payload { kind: ask.kind, bytes: &ask.bytes };
                self.accept_broadcast(&ask.origin, payload, now, fx);
            }
            Mail::BroadcastRun { sender, frames } => self.sweep_broadcast(sender, frames),
            Mail::BroadcastDone => self.broadcast_done(fx),
        }
    }

    /// The present levels.
    pub fn gauges(&self) -> Gauges {
        Gauges {
            sessions: self.people.sessions.len(),
            users: self.people.busy(),
            conversations: self.conversations.len(),
            fanout_jobs: self.fan.jobs,
            local_groups: self.locals.groups.len(),
            interests: self.interests.len(),
            remembered_ids: self.ids.len(),
            pending: self.pending.len(),
            reads: self.reads.len() + self.surveys.len(),
            syncs: self.syncs.len(),
            cursors: self.cursors.len(),
            heads_bytes: self.heads.bytes(),
            tails_bytes: self.tails.bytes(),
        }
    }

    /// What must hold between any two calls; looks at everything, so for tests.
    pub fn invariants(&self) {
        self.people.invariants();
        self.locals.invariants();
        self.conversations.invariants();
        self.heads.invariants();
        assert_eq!(self.heads.pins(), self.cursors.len(), "what is to be told or written keeps its head");
        assert_eq!(
            self.pending.len(),
            self.conversations.in_flight(),
            "each append under way has a conversation"
        );
        assert_eq!(self.fan.jobs, self.locals.jobs(), "each job is some group's");
    }
}
