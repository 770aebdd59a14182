//! `sync` at the user's home: which conversations, whom to ask about them, and the answers as one page. Knows no view.
//!
//! The session has been registered for live delivery since it signed in, and how a conversation stands is said by its sequencer
//! after that: what is committed later reaches the session live, whatever was before is in the answer.

use super::answer::{BUSY, Refusal};
use super::ask::Origin;
use super::mail::{Mail, Surveyed};
use super::publish::stored;
use super::survey::{Held, SurveyAsk, Synced};
use super::{Effects, Rules};
use crate::ids::{ConversationId, Seq, ShardId};
use crate::limits::{SYNC_BYTES, SYNC_CONVERSATIONS, SYNC_ENVELOPE, SYNCS, SYNCS_BYTES};
use crate::metrics::Counter;
use crate::wire::size::synced_max;
use crate::wire::{ErrorCode, Event, StoredMessage, SyncedConversation, token};
use hashbrown::HashMap;

const BAD_TOKEN: Refusal = Refusal(ErrorCode::BadRequest, "`next` must be what the answer before said");

/// Of a page, what conversations may take without their messages (parts of [`OF_PAGE`]).
const STANDINGS: usize = 3;
const OF_PAGE: usize = 4;

/// A `sync` whose answer is not complete.
#[derive(Debug)]
struct Gathering {
    origin: Origin,
    /// Shards that have not answered.
    waits_for: usize,
    failed: bool,
    found: Vec<Synced>,
    next: Option<String>,
}

/// The answers being put together, at most [`SYNCS`].
#[derive(Debug, Default)]
pub(super) struct Syncs {
    gathering: HashMap<u64, Gathering>,
    next: u64,
    /// What their messages take, about.
    bytes: usize,
}

impl Syncs {
    pub(super) fn len(&self) -> usize {
        self.gathering.len()
    }
}

impl Rules {
    /// `sync` of a session of this shard.
    pub(super) fn sync<E: Effects>(
        &mut self,
        origin: Origin,
        cursors: &[(ConversationId, Seq)],
        next: Option<&str>,
        fx: &mut E,
    ) {
        let after = match next.map(token::read) {
            None => None,
            Some(Ok(after)) => Some(after),
            Some(Err(_)) => return self.refused(&origin, "sync", BAD_TOKEN, fx),
        };
        let budget = SYNC_BYTES.min(self.config.queue_max_size).saturating_sub(SYNC_ENVELOPE);
        let (page, taken, more) = self.page_of(&origin, after.as_ref(), budget / OF_PAGE * STANDINGS);
        let next = if more { page.last().map(token::write) } else { None };
        let mut shards: Vec<(ShardId, Vec<Held>)> = Vec::new();
        let all = page.len();
        for conversation in page {
            let home = self.config.router.home_of_conversation(&conversation);
            let held = cursors.binary_search_by(|(other, _)| other.cmp(&conversation));
            let held = held.ok().map(|n| cursors[n].1);
            match shards.iter_mut().find(|(shard, _)| *shard == home) {
                Some((_, conversations)) => conversations.push((conversation, held)),
                None => shards.push((home, vec![(conversation, held)])),
            }
        }
        let open = |(home, _): &(ShardId, Vec<_>)| *home == self.config.shard || fx.accepts(*home);
        if self.syncs.gathering.len() >= SYNCS || !shards.iter().all(open) {
            return self.refused(&origin, "sync", BUSY, fx);
        }
        let sync = self.syncs.next;
        self.syncs.next += 1;
        let user = origin.user.clone();
        let gathering = Gathering { origin, waits_for: shards.len(), failed: false, found: Vec::new(), next };
        if shards.is_empty() {
            return self.synced(gathering, fx);
        }
        self.syncs.gathering.insert(sync, gathering);
        for (home, conversations) in shards {
            let bytes = budget.saturating_sub(taken) / all * conversations.len();
            let ask = SurveyAsk { sync, user: user.clone(), conversations, bytes };
            if home == self.config.shard {
                self.survey(home, ask, fx);
            } else {
                fx.mail(home, Mail::Survey(Box::new(ask)));
            }
        }
    }

    /// A page of a user's conversations behind `after`, what they take in an answer without messages, and whether there are more.
    /// In the order of their names if that matters.
    fn page_of(
        &self,
        origin: &Origin,
        after: Option<&ConversationId>,
        budget: usize,
    ) -> (Vec<ConversationId>, usize, bool) {
        let belongs =
            self.people.find(&origin.user).and_then(|slot| self.people.user(slot)?.belongs.as_deref());
        let Some(belongs) = belongs else { return (Vec::new(), 0, false) };
        let groups = belongs.groups.iter().map(|membership| ConversationId::group(&membership.group));
        let privates = belongs.privates.iter().map(|other| ConversationId::private(&origin.user, other));
        let is_left = |conversation: &ConversationId| after.is_none_or(|after| conversation > after);
        let mut page: Vec<ConversationId> = groups.chain(privates).filter(is_left).collect();
        let size = |page: &[ConversationId]| page.iter().map(synced_max).sum::<usize>();
        if page.len() <= SYNC_CONVERSATIONS && size(&page) <= budget {
            let taken = size(&page);
            return (page, taken, false);
        }
        page.sort_unstable();
        let mut taken = 0;
        let fits = |conversation: &&ConversationId| {
            taken += synced_max(conversation);
            taken <= budget
        };
        // One at least, or there would be no end.
        let fitting = page.iter().take(SYNC_CONVERSATIONS).take_while(fits).count().max(1);
        let more = fitting < page.len();
        page.truncate(fitting);
        let taken = size(&page);
        (page, taken, more)
    }

    /// A shard has said how its part stands.
    pub(super) fn gather<E: Effects>(&mut self, surveyed: Surveyed, fx: &mut E) {
        let Surveyed { sync, found } = surveyed;
        let Some(gathering) = self.syncs.gathering.get_mut(&sync) else { return };
        gathering.waits_for -= 1;
        gathering.failed |= found.is_none();
        for mut synced in found.into_iter().flatten() {
            if self.syncs.bytes + synced.bytes > SYNCS_BYTES {
                fx.count(Counter::SyncsCut);
                synced.more |= !synced.messages.is_empty();
                (synced.messages, synced.bytes) = (Vec::new(), 0);
            }
            self.syncs.bytes += synced.bytes;
            gathering.found.push(synced);
        }
        if gathering.waits_for == 0
            && let Some(gathering) = self.syncs.gathering.remove(&sync)
        {
            self.syncs.bytes -= gathering.found.iter().map(|synced| synced.bytes).sum::<usize>();
            self.synced(gathering, fx);
        }
    }

    /// All shards have answered.
    fn synced<E: Effects>(&mut self, gathering: Gathering, fx: &mut E) {
        let Gathering { origin, failed, mut found, next, .. } = gathering;
        if failed {
            return self.refused(&origin, "sync", BUSY, fx);
        }
        found.sort_unstable_by(|one, other| one.conversation.cmp(&other.conversation));
        let messages = found.iter().flat_map(|synced| &synced.messages);
        let messages: Vec<StoredMessage<'_>> = messages.map(|record| stored(record)).collect();
        let (mut rest, mut conversations) = (&messages[..], Vec::with_capacity(found.len()));
        for Synced { conversation, standing, messages, more, .. } in &found {
            let (own, others) = rest.split_at(messages.len());
            rest = others;
            let (head, first, unread) = (standing.head, standing.first, standing.unread);
            let (read, more) = (standing.cursor.read, *more);
            conversations.push(SyncedConversation {
                conversation,
                head,
                first,
                read,
                unread,
                messages: own,
                more,
            });
        }
        let (id, next) = (origin.id.as_deref(), next.as_deref());
        self.reply(&origin, &Event::Sync { id, conversations: &conversations, next }, fx);
    }
}
