//! What is in a store: how much, of what, where, and what its next start would do. Knows no printing.

use super::StoreError;
use super::stopped::{Progress, Stopped, Tell, size_of};
use crate::ids::{ConversationId, GroupName, Parties, UserName};
use crate::log::Position;
use crate::log::disk::Found;
use crate::view::disk::{DiskView, Entry, ViewError};

/// Conversations and groups that are named as the largest (number).
const LARGEST: usize = 10;

/// One of the largest conversations.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Large {
    /// Bytes of its messages' content.
    pub bytes: u64,
    /// How many they are.
    pub messages: u64,
    /// Its name.
    pub conversation: ConversationId,
}

/// What is in a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Its log.
    pub log: Found,
    /// What the log's files take (bytes).
    pub log_bytes: u64,
    /// What the view's files take (bytes), and its parts.
    pub view_bytes: u64,
    /// Of them.
    pub parts: Vec<(&'static str, u64)>,
    /// Up to where the view was applied: the next start applies what follows.
    pub applied: Position,
    /// Private conversations, and those of groups.
    pub privates: u64,
    /// Groups with messages.
    pub groups: u64,
    /// Messages of all.
    pub messages: u64,
    /// Bytes of their content.
    pub content_bytes: u64,
    /// Users with a private conversation or a group.
    pub users: u64,
    /// Groups with members, and memberships.
    pub groups_with_members: u64,
    /// Of all groups.
    pub memberships: u64,
    /// The largest conversations, the largest first.
    pub largest: Vec<Large>,
    /// Groups with most members, the largest first.
    pub most_members: Vec<(u64, GroupName)>,
}

/// The largest of many, with room for few.
struct Top<T>(Vec<T>);

impl<T: Ord> Top<T> {
    fn add(&mut self, item: T) {
        let at = self.0.partition_point(|other| *other > item);
        if at < LARGEST {
            self.0.insert(at, item);
            self.0.truncate(LARGEST);
        }
    }
}

/// Counts everything; nothing is changed.
///
/// # Errors
/// [`StoreError`] when something cannot be read.
pub fn stats(store: &Stopped, tell: Tell<'_>) -> Result<Stats, StoreError> {
    let mut progress = Progress::new(tell, "records of the log counted");
    let log = store.log(&mut |_, _| progress.step())?;
    let view = store.view()?;
    let mut stats = Stats {
        log,
        log_bytes: size_of(&store.folder.log()),
        view_bytes: size_of(&store.folder.view()),
        parts: view.sizes().to_vec(),
        applied: view.applied().map_err(|error| store.of_view(error))?,
        privates: 0,
        groups: 0,
        messages: 0,
        content_bytes: 0,
        users: 0,
        groups_with_members: 0,
        memberships: 0,
        largest: Vec::new(),
        most_members: Vec::new(),
    };
    progress.now("messages counted");
    of_messages(&view, &mut stats, &mut progress)
        .and_then(|()| of_members(&view, &mut stats))
        .and_then(|()| of_users(&view, &mut stats))
        .map_err(|error| store.of_view(error))?;
    Ok(stats)
}

fn of_messages(view: &DiskView, stats: &mut Stats, progress: &mut Progress<'_>) -> Result<(), ViewError> {
    let mut largest = Top(Vec::new());
    let mut current: Option<Large> = None;
    for entry in view.walk() {
        match entry? {
            Entry::Conversation(conversation, ..) => {
                match conversation.parties() {
                    Parties::Private(..) => stats.privates += 1,
                    Parties::Group(_) => stats.groups += 1,
                }
                let next = Large { bytes: 0, messages: 0, conversation };
                current.replace(next).into_iter().for_each(|done| largest.add(done));
            }
            Entry::Message(message) => {
                progress.step();
                let bytes = message.bytes.len() as u64;
                stats.messages += 1;
                stats.content_bytes += bytes;
                if let Some(current) = &mut current {
                    current.messages += 1;
                    current.bytes += bytes;
                }
            }
        }
    }
    current.into_iter().for_each(|done| largest.add(done));
    stats.largest = largest.0;
    Ok(())
}

fn of_members(view: &DiskView, stats: &mut Stats) -> Result<(), ViewError> {
    let mut most = Top(Vec::new());
    let mut current: Option<(u64, GroupName)> = None;
    for member in view.members() {
        let (group, ..) = member?;
        stats.memberships += 1;
        match &mut current {
            Some((members, current)) if *current == group => *members += 1,
            _ => {
                stats.groups_with_members += 1;
                current.replace((1, group)).into_iter().for_each(|done| most.add(done));
            }
        }
    }
    current.into_iter().for_each(|done| most.add(done));
    stats.most_members = most.0;
    Ok(())
}

/// Users stand in two lists, each in the order of names: one count goes through both.
fn of_users(view: &DiskView, stats: &mut Stats) -> Result<(), ViewError> {
    let mut privates = view.privates().map(|private| private.map(|(user, _)| user));
    let mut groups = view.groups().map(|group| group.map(|(user, ..)| user));
    let (mut private, mut group) = (privates.next().transpose()?, groups.next().transpose()?);
    let mut last: Option<UserName> = None;
    loop {
        let from_privates = match (&private, &group) {
            (None, None) => return Ok(()),
            (Some(one), Some(other)) => one <= other,
            (one, _) => one.is_some(),
        };
        let user = if from_privates {
            std::mem::replace(&mut private, privates.next().transpose()?)
        } else {
            std::mem::replace(&mut group, groups.next().transpose()?)
        };
        stats.users += u64::from(last != user);
        last = user;
    }
}
