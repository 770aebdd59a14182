//! How conversations at home here stand for a user: said from memory where it is known, else after a look at the view. Knows no sessions.

use super::ask::Origin;
use super::heads::Who;
use super::mail::{Mail, Surveyed};
use super::{Effects, ReadId, Rules};
use crate::clock::Now;
use crate::ids::{ConversationId, Seq, ShardId, UserName};
use crate::limits::READS;
use crate::log::MessageRecord;
use crate::metrics::Counter;
use crate::slab::Key;
use crate::view::{Cursor, Look, Looks, Standing, Survey};
use hashbrown::HashMap;
use std::sync::Arc;

/// A conversation, and up to where a device has it; none: nothing of it.
pub type Held = (ConversationId, Option<Seq>);

/// What one shard is asked for a `sync`.
#[derive(Clone, Debug)]
pub struct SurveyAsk {
    /// The asker's own number.
    pub sync: u64,
    /// Who syncs.
    pub user: UserName,
    /// Conversations at home there, and what the device holds of each.
    pub conversations: Vec<Held>,
    /// What their messages may take together (bytes).
    pub bytes: usize,
}

/// One conversation of a `sync` answer.
#[derive(Clone, Debug)]
pub struct Synced {
    /// Which.
    pub conversation: ConversationId,
    /// How it stands.
    pub standing: Standing,
    /// What the device lacks.
    pub messages: Vec<Arc<MessageRecord>>,
    /// Whether it lacks more.
    pub more: bool,
    /// What the messages take at most (bytes).
    pub bytes: usize,
}

/// What a look at the view is for.
#[derive(Debug)]
pub(super) enum Purpose {
    Sync { to: ShardId, sync: u64, found: Vec<Synced> },
    Cursor { origin: Origin, to: Cursor, command: &'static str },
}

/// A look at the view under way.
#[derive(Debug)]
struct Looking {
    purpose: Purpose,
    looks: Arc<Looks>,
    /// How many commits there had been.
    commits: u64,
}

/// Looks under way; [`READS`] bounds them.
#[derive(Debug, Default)]
pub(super) struct Surveys(HashMap<ReadId, Looking>);

impl Surveys {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Whether a device lacks nothing, and its user has read everything: then nothing is said.
fn is_settled(standing: &Standing, after: Option<Seq>) -> bool {
    after.is_some_and(|after| after >= standing.head) && standing.cursor.read >= standing.head
}

impl Rules {
    /// Says how conversations stand, in a `Surveyed` to the asking shard.
    pub(super) fn survey<E: Effects>(&mut self, to: ShardId, ask: SurveyAsk, fx: &mut E) {
        let SurveyAsk { sync, user, conversations, bytes } = ask;
        let who = self.heads.who(&user);
        let (mut found, mut wanting) = (Vec::new(), Vec::new());
        for (conversation, after) in conversations {
            let head = self.heads.find(&conversation);
            let known = head.and_then(|head| self.heads.standing(head, who));
            fx.count(if known.is_some() { Counter::HeadsHit } else { Counter::HeadsMissed });
            match known {
                Some(standing) if is_settled(&standing, after) => {}
                Some(standing)
                    if after.is_some_and(|after| after >= standing.head) || standing.head == Seq(0) =>
                {
                    found.push(Synced {
                        conversation,
                        standing,
                        messages: Vec::new(),
                        more: false,
                        bytes: 0,
                    });
                }
                known => wanting.push((conversation, after, known, head)),
            }
        }
        let (mut left, mut looks) = (bytes, Vec::new());
        let all = wanting.len();
        for (n, (conversation, after, known, head)) in wanting.into_iter().enumerate() {
            // An even share with those behind it, and those that the view will be asked about.
            let share = left / (all - n + looks.len());
            let kept = known.and_then(|standing| {
                let kept = self.tails.newest(&conversation, &user, after, share)?;
                Some((standing, kept))
            });
            if known.is_some() {
                fx.count(if kept.is_some() { Counter::TailsHit } else { Counter::TailsMissed });
            }
            if let Some((standing, (messages, more, bytes))) = kept {
                left -= bytes;
                found.push(Synced { conversation, standing, messages, more, bytes });
            } else {
                let cursor = head.and_then(|head| self.heads.cursor(head, who)).unwrap_or_default();
                looks.push(Look { conversation, after, cursor });
            }
        }
        if looks.is_empty() {
            return self.surveyed_for(to, Surveyed { sync, found: Some(found) }, fx);
        }
        if !self.may_look() {
            return self.surveyed_for(to, Surveyed { sync, found: None }, fx);
        }
        let looks = Arc::new(Looks { user, looks, bytes: left });
        self.look(Purpose::Sync { to, sync, found }, looks, fx);
    }

    /// Whether one more look at the view may be under way.
    pub(super) fn may_look(&self) -> bool {
        self.reads.len() + self.surveys.len() < READS
    }

    /// Looks at the view.
    pub(super) fn look<E: Effects>(&mut self, purpose: Purpose, looks: Arc<Looks>, fx: &mut E) {
        let read = self.reads.number();
        let commits = self.conversations.commits;
        self.surveys.0.insert(read, Looking { purpose, looks: Arc::clone(&looks), commits });
        fx.survey(read, looks);
    }

    /// The view's answer to `Effects::survey`.
    pub fn surveyed<E: Effects>(&mut self, read: ReadId, found: Vec<Option<Survey>>, now: Now, fx: &mut E) {
        let Some(Looking { purpose, looks, commits }) = self.surveys.0.remove(&read) else { return };
        let who = self.heads.who(&looks.user);
        let mut synced = Vec::new();
        let mut kept = Ok(None);
        for (look, survey) in looks.looks.iter().zip(found) {
            let Some(survey) = survey else { continue };
            let Survey { standing, messages, more, bytes } = survey;
            kept = self.keep_standing(&look.conversation, &looks.user, who, &standing, commits).map(Some);
            if !is_settled(&standing, look.after) {
                let conversation = look.conversation.clone();
                synced.push(Synced { conversation, standing, messages, more, bytes });
            }
        }
        match purpose {
            Purpose::Sync { to, sync, mut found } => {
                found.append(&mut synced);
                self.surveyed_for(to, Surveyed { sync, found: Some(found) }, fx);
            }
            Purpose::Cursor { origin, to, command } => {
                let Some(look) = looks.looks.first() else { return };
                self.cursor_known(kept, &origin, &look.conversation, (to, command), now, fx);
            }
        }
    }

    /// The view could not be read.
    pub fn not_surveyed<E: Effects>(&mut self, read: ReadId, now: Now, fx: &mut E) {
        let Some(Looking { purpose, looks, .. }) = self.surveys.0.remove(&read) else { return };
        match purpose {
            Purpose::Sync { to, sync, .. } => self.surveyed_for(to, Surveyed { sync, found: None }, fx),
            Purpose::Cursor { origin, to, command } => {
                let Some(look) = looks.looks.first() else { return };
                self.cursor_known(Err(()), &origin, &look.conversation, (to, command), now, fx);
            }
        }
    }

    /// Keeps what the view said, if commits can be followed from there: where it was asked is not where it is answered.
    fn keep_standing(
        &mut self,
        conversation: &ConversationId,
        user: &UserName,
        who: Who,
        standing: &Standing,
        commits: u64,
    ) -> Result<Key, ()> {
        let uncounted =
            match self.conversations.find(conversation).and_then(|slot| self.conversations.at(slot)) {
                Some(at) if at.stalled.is_some() => return Err(()),
                // Whoever left meanwhile has nothing to keep.
                Some(at) if at.group().is_some_and(|group| !group.has(user)) => return Err(()),
                Some(at) if at.in_flight == 0 && at.committed == standing.head => None,
                Some(at) => Some(at.committed),
                // It may have been active in between, and gone on.
                None if self.conversations.evicted_since(commits) => return Err(()),
                None => {
                    let head = self.heads.find(conversation).and_then(|head| self.heads.size_and_head(head));
                    head.map(|(_, head)| head).filter(|head| *head != standing.head)
                }
            };
        let mut standing = *standing;
        if let Some(head) = uncounted {
            (standing.head, standing.cursor) = (head, standing.cursor.clamped(head));
        }
        let head = self.heads.keep(conversation, who, &standing, uncounted.is_some()).ok_or(())?;
        if let Some(slot) = self.conversations.find(conversation)
            && let Some(at) = self.conversations.at_mut(slot)
        {
            at.head = Some(head);
        }
        Ok(head)
    }

    fn surveyed_for<E: Effects>(&mut self, to: ShardId, surveyed: Surveyed, fx: &mut E) {
        if to == self.config.shard {
            self.gather(surveyed, fx);
        } else {
            fx.mail(to, Mail::Surveyed(Box::new(surveyed)));
        }
    }
}
