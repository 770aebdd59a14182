//! Threads that read the view for the shards, which may not wait for a disk. Knows no rules.

use super::Wake;
use super::applier::Applied;
use super::port::{Answer, Want};
use super::shared::Shared;
use crate::limits::{ACTIVATION_IDS, ACTIVATION_IDS_SHARE};
use crate::log::{Durability, Position};
use crate::view::Recall;
use crate::view::disk::{DiskView, ViewError};
use flume::{Receiver, Sender};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// How long a reader waits for the view to have what its shard knows to be committed. Beyond it the view is stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a reader is asked for.
#[derive(Debug)]
pub(super) enum Job {
    /// One thing to read.
    Read {
        shard: usize,
        want: Want,
        /// What the shard knows to be committed: an older view would miss some of it.
        at_least: Position,
    },
    /// One reader ends.
    Stop,
}

/// What readers take from and answer to.
pub(super) struct Reads {
    pub jobs: Receiver<Job>,
    pub answers: Vec<Sender<Answer>>,
    pub wakes: Vec<Wake>,
    /// Messages that were looked at for their ids, by shard.
    pub looked: Arc<[AtomicUsize]>,
}

/// What the readers have done.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub reads: AtomicU64,
    pub failed: AtomicU64,
    /// Of the trimmer: trims asked for, what went by them, and how often tables were written anew for it.
    pub trims: AtomicU64,
    pub trimmed_messages: AtomicU64,
    pub trimmed_bytes: AtomicU64,
    pub sweeps: AtomicU64,
}

/// One reader's state.
pub(super) struct Reader {
    jobs: Receiver<Job>,
    answers: Vec<Sender<Answer>>,
    wakes: Vec<Wake>,
    looked: Arc<[AtomicUsize]>,
    view: Arc<Shared>,
    applied: Arc<Applied>,
    count: Arc<Count>,
    durability: Durability,
}

impl Reads {
    pub(super) fn reader(
        &self,
        view: Arc<Shared>,
        applied: &Arc<Applied>,
        count: &Arc<Count>,
        durability: Durability,
    ) -> Reader {
        let (jobs, answers, wakes) = (self.jobs.clone(), self.answers.clone(), self.wakes.clone());
        Reader {
            jobs,
            answers,
            wakes,
            looked: Arc::clone(&self.looked),
            view,
            applied: Arc::clone(applied),
            count: Arc::clone(count),
            durability,
        }
    }
}

impl Reader {
    /// Runs until it is told to end.
    pub(super) fn run(self) {
        while let Ok(Job::Read { shard, want, at_least }) = self.jobs.recv() {
            let answer = self.read(shard, want, at_least);
            self.count.reads.fetch_add(1, Ordering::Relaxed);
            if matches!(answer, Answer::Failed(..)) {
                self.count.failed.fetch_add(1, Ordering::Relaxed);
            }
            // A shard that has ended wants nothing more.
            if self.answers[shard].send(answer).is_ok() {
                (self.wakes[shard])();
            }
        }
    }

    fn read(&self, shard: usize, want: Want, at_least: Position) -> Answer {
        if !self.applied.wait(at_least, PATIENCE) {
            return Answer::Failed(want, ViewError::Damaged("the view does not follow the log"));
        }
        let read = self.view.with(|view| self.look(view, shard, &want));
        read.unwrap_or_else(|error| Answer::Failed(want, error))
    }

    fn look(&self, view: &DiskView, shard: usize, want: &Want) -> Result<Answer, ViewError> {
        Ok(match want {
            Want::Activation(conversation, recall) => {
                let recall = share(*recall, self.looked[shard].load(Ordering::Relaxed));
                let activation = view.activate(conversation, &recall, self.durability)?;
                self.looked[shard].fetch_add(activation.looked, Ordering::Relaxed);
                Answer::Activation(conversation.clone(), Box::new(activation))
            }
            Want::Page(id, conversation, range) => Answer::Page(*id, view.read(conversation, *range)?),
            Want::Survey(id, looks) => Answer::Survey(*id, view.survey(looks)?),
            Want::Conversations(user) => {
                Answer::Conversations(user.clone(), view.groups_of(user)?, view.privates_of(user)?)
            }
        })
    }
}

/// What a conversation may have of its shard's budget for ids: a part of what the others have left of it, so that all of them together
/// take no longer to read than the budget does.
fn share(mut recall: Recall, looked: usize) -> Recall {
    if let Some(wanted) = &mut recall.ids {
        let left = wanted.most.saturating_sub(looked);
        wanted.most = wanted.most.min((left / ACTIVATION_IDS_SHARE).max(ACTIVATION_IDS));
    }
    recall
}
