//! Whether a store is as it was written: each commit of the log, the view against the log's records, the view against itself. Changes
//! nothing that was stored, and knows no words for users but its faults'.

use super::stopped::{Progress, Stopped, Tell, no_gap};
use crate::ids::{ConversationId, GroupName, Parties, Seq, UserName};
use crate::log::disk::{Found, Short};
use crate::log::{MessageRecord, Position, Record};
use crate::view::Cursor;
use crate::view::disk::{DiskView, Entry, ViewError};
use std::collections::BTreeMap;
use std::fmt::Display;

/// Faults that are told one by one (number); the others are counted.
const FAULTS_TOLD: usize = 20;
/// After so many of them nothing more is looked at.
const FAULTS_MAX: u64 = 10_000;

const MEND_LOG: &str = "restore the folder from a copy; without one, `longwire store export --view-only` saves what the view has, \
    for an import into an empty folder";
const MEND_SHORT: &str =
    "restore the folder from a copy, if there is one; without one the next start goes on with what is left";
const MEND_VIEW: &str = "`longwire store rebuild` makes the view anew";

/// Something that is not as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What is wrong, and where.
    pub what: String,
    /// What to do about it.
    pub next: &'static str,
}

/// What a check has found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    /// The log, if it is whole.
    pub log: Option<Found>,
    /// Up to where the view was applied.
    pub applied: Position,
    /// What the view has.
    pub conversations: u64,
    /// The same.
    pub messages: u64,
    /// Memberships of groups.
    pub members: u64,
    /// The first ones.
    pub faults: Vec<Fault>,
    /// How many there are.
    pub faults_found: u64,
}

impl Checked {
    fn fault(&mut self, what: impl Display, next: &'static str) {
        self.faults_found += 1;
        if self.faults.len() < FAULTS_TOLD {
            self.faults.push(Fault { what: what.to_string(), next });
        }
    }

    fn gives_up(&self) -> bool {
        self.faults_found >= FAULTS_MAX
    }

    /// What a part of the check could not read is a fault of the view.
    fn unread(&mut self, part: Result<(), ViewError>) {
        if let Err(error) = part {
            self.fault(format_args!("the view: {error}"), MEND_VIEW);
        }
    }
}

/// Looks at everything.
pub fn check(store: &Stopped, tell: Tell<'_>) -> Checked {
    let mut found = Checked::default();
    let mut progress = Progress::new(tell, "records of the log checked");
    let view =
        store.view().and_then(|view| Ok((view.applied().map_err(|error| store.of_view(error))?, view)));
    let view = match view {
        Ok((applied, view)) => {
            found.applied = applied;
            Some(view)
        }
        Err(error) => {
            found.fault(error, MEND_VIEW);
            None
        }
    };
    let log = of_log(store, view.as_ref(), &mut found, &mut progress);
    if let Some(Short { file, made, is }) = log.as_ref().and_then(Found::lost) {
        let file = file.display();
        let what = format_args!(
            "{file} has {is} of the {made} bytes it was made with: what stood from byte {is} on is lost"
        );
        found.fault(what, MEND_SHORT);
    }
    let Some(view) = view else { return found };
    if let Some(log) = &log
        && let Err(error) = no_gap(found.applied, log)
    {
        found.fault(error, MEND_LOG);
    }
    found.log = log;
    progress.now("messages of the view checked");
    let part = of_conversations(&view, &mut found, &mut progress);
    found.unread(part);
    progress.now("memberships of the view checked");
    let part = of_members(&view, &mut found, &mut progress);
    found.unread(part);
    progress.now("private conversations of the view checked");
    let part = of_privates(&view, &mut found, &mut progress);
    found.unread(part);
    found
}

/// The last that records of the log say.
#[derive(Default)]
struct Said {
    /// Of memberships: after which `seq` someone joined, or left.
    members: BTreeMap<(GroupName, UserName), Option<Seq>>,
    /// Of how far someone has got.
    cursors: BTreeMap<(ConversationId, UserName), Cursor>,
    /// Of where conversations begin.
    firsts: BTreeMap<ConversationId, Seq>,
}

impl Said {
    fn deleted(&mut self, conversation: ConversationId, first: Seq) {
        self.cursors.retain(|(named, _), _| *named != conversation);
        if let Parties::Group(name) = conversation.parties() {
            let of_it = self.members.iter_mut().filter(|((group, _), _)| group.as_str() == name);
            of_it.for_each(|(_, since)| *since = None);
        }
        self.begins(conversation, first);
    }

    fn begins(&mut self, conversation: ConversationId, first: Seq) {
        let begins = self.firsts.entry(conversation).or_default();
        *begins = first.max(*begins);
    }
}

/// Each commit, and that the view has what its records say.
fn of_log(
    store: &Stopped,
    view: Option<&DiskView>,
    found: &mut Checked,
    progress: &mut Progress<'_>,
) -> Option<Found> {
    let applied = found.applied;
    let mut said = Said::default();
    let mut of_view = Ok(());
    let log = store.log(&mut |position, record| {
        progress.step();
        let Some(view) = view.filter(|_| position <= applied && of_view.is_ok() && !found.gives_up()) else {
            return;
        };
        match record {
            Record::Message(message) => of_view = is_kept(view, position, &message, found),
            Record::Member { group, user, joined, seq } => {
                said.members.insert((group, user), joined.then_some(seq));
            }
            Record::Cursor { conversation, user, received, read } => {
                said.cursors.insert((conversation, user), Cursor { received, read });
            }
            Record::Trim { conversation, first } => {
                said.begins(conversation, first);
            }
            Record::Delete { conversation, first } => said.deleted(conversation, first),
        }
    });
    if let Some(view) = view.filter(|_| of_view.is_ok()) {
        of_view = is_said(view, said, found);
    }
    found.unread(of_view);
    log.map_err(|error| found.fault(error, MEND_LOG)).ok()
}

fn is_said(view: &DiskView, said: Said, found: &mut Checked) -> Result<(), ViewError> {
    let log = "is not what the log says";
    for ((group, user), said) in said.members {
        if view.member(&group, &user)? != said {
            found.fault(format_args!("the view: {user} in g:{group} {log}"), MEND_VIEW);
        }
    }
    for ((conversation, user), said) in said.cursors {
        if view.cursor(&conversation, &user)? != Some(said) {
            found.fault(format_args!("the view: the cursor of {user} in {conversation} {log}"), MEND_VIEW);
        }
    }
    for (conversation, said) in said.firsts {
        // Records that the log has no more may have had it begin higher.
        if view.begins(&conversation)? < said {
            found.fault(format_args!("the view: where {conversation} begins {log}"), MEND_VIEW);
        }
    }
    Ok(())
}

fn is_kept(
    view: &DiskView,
    at: Position,
    message: &MessageRecord,
    found: &mut Checked,
) -> Result<(), ViewError> {
    let MessageRecord { conversation, seq, .. } = message;
    let what = match view.message(conversation, *seq)? {
        Some(kept) if kept == *message => return Ok(()),
        Some(_) => "is another one",
        // Gone from the disk as well.
        None if *seq < view.begins(conversation)? => return Ok(()),
        None => "is missing",
    };
    let Position(at) = at;
    found.fault(
        format_args!("the view: {conversation} seq {}, record {at} of the log, {what}", seq.0),
        MEND_VIEW,
    );
    Ok(())
}

/// Each message names the one before it, and the last one is its conversation's head.
fn of_conversations(
    view: &DiskView,
    found: &mut Checked,
    progress: &mut Progress<'_>,
) -> Result<(), ViewError> {
    // Without a head only where messages have none.
    let mut current: Option<(ConversationId, Option<Seq>)> = None;
    let mut last = Seq(0);
    for entry in view.walk() {
        if found.gives_up() {
            break;
        }
        progress.step();
        match entry? {
            Entry::Conversation(conversation, head, first) => {
                // Of one that was trimmed as a whole the head is all there is.
                let head = Some(head).filter(|head| first <= *head);
                ended(current.replace((conversation.clone(), head)), last, found);
                (found.conversations, last) = (found.conversations + 1, Seq(0));
                of_parties(view, &conversation, found)?;
            }
            Entry::Message(message) => {
                let MessageRecord { conversation, seq, prev, .. } = *message;
                found.messages += 1;
                if current.as_ref().is_none_or(|(current, _)| *current != conversation) {
                    found.fault(format_args!("the view: {conversation} has messages and no head"), MEND_VIEW);
                    ended(current.replace((conversation.clone(), None)), last, found);
                    last = Seq(0);
                }
                if prev >= seq || (last != Seq(0) && prev != last) {
                    found.fault(
                        format_args!(
                            "the view: {conversation} seq {} follows {}, not {}",
                            seq.0, last.0, prev.0
                        ),
                        MEND_VIEW,
                    );
                }
                last = seq;
            }
        }
    }
    ended(current, last, found);
    Ok(())
}

fn ended(conversation: Option<(ConversationId, Option<Seq>)>, last: Seq, found: &mut Checked) {
    if let Some((conversation, Some(head))) = conversation
        && head != last
    {
        found.fault(
            format_args!("the view: the head of {conversation} is {}, its last message {}", head.0, last.0),
            MEND_VIEW,
        );
    }
}

/// A private conversation is known to both of its users.
fn of_parties(view: &DiskView, conversation: &ConversationId, found: &mut Checked) -> Result<(), ViewError> {
    let Parties::Private(a, b) = conversation.parties() else { return Ok(()) };
    for user in [a, b] {
        if !view.has_private(user, conversation)? {
            found.fault(format_args!("the view: {conversation} is not among those of {user}"), MEND_VIEW);
        }
    }
    Ok(())
}

/// Who is a member of a group has it among its groups, and the other way round.
fn of_members(view: &DiskView, found: &mut Checked, progress: &mut Progress<'_>) -> Result<(), ViewError> {
    for member in view.members() {
        let (group, user, since) = member?;
        progress.step();
        found.members += 1;
        if view.group(&user, &group)? != Some(since) {
            found.fault(
                format_args!("the view: g:{group} is not among the groups of its member {user}"),
                MEND_VIEW,
            );
        }
    }
    for group in view.groups() {
        let (user, group, since) = group?;
        progress.step();
        if view.member(&group, &user)? != Some(since) {
            found.fault(
                format_args!("the view: {user} is not a member of g:{group}, one of its groups"),
                MEND_VIEW,
            );
        }
    }
    Ok(())
}

/// Nobody has a private conversation of others.
fn of_privates(view: &DiskView, found: &mut Checked, progress: &mut Progress<'_>) -> Result<(), ViewError> {
    for private in view.privates() {
        let (user, conversation) = private?;
        progress.step();
        if !matches!(conversation.parties(), Parties::Private(a, b) if [a, b].contains(&user.as_str())) {
            found.fault(format_args!("the view: {conversation} is among those of {user}"), MEND_VIEW);
        }
    }
    Ok(())
}
