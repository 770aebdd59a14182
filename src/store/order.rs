//! The lines of an export, each checked against those before it: the first wrong one is named. Knows no store.

use super::import::ImportError;
use super::lines::{Counts, Line};
use crate::ids::{ConversationId, GroupName, Seq, UserName};
use crate::limits::EXPORT_LINE_MAX;
use std::io::{BufRead, Read};

/// Reads lines up to the `end`, and hands on each that may stand where it stands; tells how many of each kind there were.
pub(super) fn read(
    lines: &mut dyn BufRead,
    each: &mut dyn FnMut(Line) -> Result<(), ImportError>,
) -> Result<Counts, ImportError> {
    let mut order = Order::default();
    let mut text = Vec::new();
    for number in 1.. {
        let wrong = |what: &str| ImportError::Line(number, what.into());
        text.clear();
        lines.take(EXPORT_LINE_MAX).read_until(b'\n', &mut text).map_err(ImportError::Read)?;
        if text.is_empty() {
            break;
        }
        if text.pop() != Some(b'\n') {
            return Err(wrong("it does not end: the export was cut, or the line is too long"));
        }
        let line = std::str::from_utf8(&text).map_err(|_| wrong("it is not UTF-8"))?;
        let line = Line::read(line)
            .and_then(|line| order.takes(&line).map(|()| line))
            .map_err(|what| wrong(&what))?;
        each(line)?;
    }
    if order.ended {
        Ok(order.counts)
    } else {
        Err(ImportError::Line(order.lines + 1, "there is none: the export was cut".into()))
    }
}

/// What lines came so far, for what may come next: in one order, so that a line that comes twice is noticed.
#[derive(Default)]
struct Order {
    lines: u64,
    counts: Counts,
    conversation: Option<(ConversationId, Seq)>,
    /// The lowest that its conversation may keep.
    first: Seq,
    last: Seq,
    member: Option<(GroupName, UserName)>,
    cursor: Option<(ConversationId, UserName)>,
    ended: bool,
}

impl Order {
    fn takes(&mut self, line: &Line) -> Result<(), String> {
        if self.ended {
            return Err("it stands behind the `end`".into());
        }
        if (self.lines == 0) != matches!(line, Line::Export(_)) {
            return Err("an export begins with one line of type `export`".into());
        }
        self.lines += 1;
        match line {
            Line::Export(_) => Ok(()),
            Line::Conversation(conversation, head, first) => self.conversation(conversation, *head, *first),
            Line::Message(message) => {
                self.counts.messages += 1;
                self.message(&message.conversation, message.seq, message.prev)
            }
            Line::Member(group, user, _) => self.member(group, user),
            Line::Cursor(conversation, user, _) => self.cursor(conversation, user),
            Line::End(counts) => {
                self.conversation_ends()?;
                self.ended = true;
                if *counts == self.counts {
                    Ok(())
                } else {
                    Err(format!("it counts {counts:?}, there were {:?}", self.counts))
                }
            }
        }
    }

    fn conversation(&mut self, conversation: &ConversationId, head: Seq, first: Seq) -> Result<(), String> {
        self.conversation_ends()?;
        if self.is_past_messages() || self.conversation.as_ref().is_some_and(|(last, _)| last >= conversation)
        {
            return Err("conversations stand in the order of their names, before all members".into());
        }
        self.counts.conversations += 1;
        (self.conversation, self.first, self.last) = (Some((conversation.clone(), head)), first, Seq(0));
        Ok(())
    }

    fn message(&mut self, conversation: &ConversationId, seq: Seq, prev: Seq) -> Result<(), String> {
        let Some((_, head)) = self
            .conversation
            .as_ref()
            .filter(|(current, _)| current == conversation && !self.is_past_messages())
        else {
            return Err("a message stands behind its conversation".into());
        };
        if seq <= self.last || prev >= seq || seq > *head || (self.last != Seq(0) && prev != self.last) {
            let (seq, prev, last, head) = (seq.0, prev.0, self.last.0, head.0);
            return Err(format!("`seq` {seq} and `prev` {prev} do not follow {last}, up to the head {head}"));
        }
        if seq < self.first {
            return Err(format!("`seq` {} is below the conversation's `first` {}", seq.0, self.first.0));
        }
        self.last = seq;
        Ok(())
    }

    fn conversation_ends(&self) -> Result<(), String> {
        match &self.conversation {
            // All of it may have been trimmed.
            Some((_, head)) if self.last == Seq(0) && self.first > *head => Ok(()),
            Some((conversation, head)) if *head != self.last && !self.is_past_messages() => {
                Err(format!("before it, messages of {conversation} are missing up to the head {}", head.0))
            }
            _ => Ok(()),
        }
    }

    fn member(&mut self, group: &GroupName, user: &UserName) -> Result<(), String> {
        self.conversation_ends()?;
        let this = (group.clone(), user.clone());
        if self.cursor.is_some() || self.member.as_ref().is_some_and(|last| *last >= this) {
            return Err(
                "members stand in the order of their groups' and their own names, before all cursors".into(),
            );
        }
        self.counts.members += 1;
        self.member = Some(this);
        Ok(())
    }

    fn cursor(&mut self, conversation: &ConversationId, user: &UserName) -> Result<(), String> {
        self.conversation_ends()?;
        let this = (conversation.clone(), user.clone());
        if self.cursor.as_ref().is_some_and(|last| *last >= this) {
            return Err("cursors stand in the order of their conversations' and users' names".into());
        }
        self.counts.cursors += 1;
        self.cursor = Some(this);
        Ok(())
    }

    fn is_past_messages(&self) -> bool {
        self.member.is_some() || self.cursor.is_some()
    }
}
