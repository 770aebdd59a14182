//! A session's commands: what can be answered here is, the rest goes to the conversation's home. Knows no encoding.

use super::accounts::cost;
use super::answer::{BUSY, NO_PARTY, Refusal, too_fast};
use super::ask::{Ask, Origin, What};
use super::mail::{Answer, Mail};
use super::people::Told;
use super::{Effects, Rates, Rules, topic};
use crate::clock::Now;
use crate::frame::Class;
use crate::ids::{CommandId, ConversationId, GroupName, Parties, Seq, SessionId, UserName};
use crate::limits::{HISTORY_ENVELOPE, HISTORY_PAGE, HISTORY_PAGE_MAX};
use crate::meter::Verdict;
use crate::metrics::Counter;
use crate::view::{Cursor, Range};
use crate::wire::{CloseCode, Command, ErrorCode, Event, Payload, Request, Target};
use std::borrow::Cow;

/// Why a connection is closed whose user does not wait.
const TOO_FAST: &str = "too many messages sent without the wait that was told";
const TOO_LARGE: Refusal = Refusal(ErrorCode::TooLarge, "the message is over message.size_limit");
const NO_BROADCAST: Refusal = Refusal(ErrorCode::Forbidden, "messages to everyone are not allowed");
const MAY_NOT_JOIN: Refusal = Refusal(ErrorCode::Forbidden, "joining this group is not allowed");
const TOO_MANY_GROUPS: Refusal =
    Refusal(ErrorCode::Forbidden, "in as many groups as allowed; leave one first");

impl Rules {
    /// Handles one command of a session of this shard; `auth` goes through [`Rules::refresh`].
    pub fn command<E: Effects>(&mut self, session: SessionId, request: Request<'_>, now: Now, fx: &mut E) {
        let Some(asking) = self.people.session(session) else { return };
        let Some(user) = self.people.user(asking.user) else { return };
        let id = request.id.as_deref().and_then(CommandId::new);
        let mut origin = Origin { session, encoding: asking.encoding, user: user.name.clone(), id, wait: 0 };
        fx.count(command_counter(&request.command));
        let name = request.command.name();
        if let Err(answer) = self.keeps_pace(&mut origin, Some(name), cost(&request.command), now, fx) {
            return self.answer_all(answer, fx);
        }
        match request.command {
            Command::Message { target, payload } => self.message(origin, target, payload, now, fx),
            Command::JoinGroup { group } => self.join(origin, &group, now, fx),
            Command::LeaveGroup { group } => self.of_group(origin, &group, What::Leave, now, fx),
            Command::Members { group, after } => {
                self.of_group(origin, &group, What::Members { after }, now, fx);
            }
            Command::Typing { target } => self.typing(origin, target, now, fx),
            Command::History { conversation, before, after, limit } => {
                let limit = limit.unwrap_or(HISTORY_PAGE).clamp(1, HISTORY_PAGE_MAX);
                // In any encoding a page is no larger than what its reader may send, which a connection's queue
                // always holds; only a page of one message may be, which goes alone.
                let most = self.config.limits.websocket_message_size as usize;
                let bytes = most.saturating_sub(HISTORY_ENVELOPE);
                let range = Range { before, after, limit, bytes };
                self.of_reader(origin, conversation, What::History { range }, now, fx);
            }
            Command::Sync { cursors, next } => self.sync(origin, &cursors, next.as_deref(), fx),
            Command::Received { conversation, seq } => {
                let to = Cursor { received: seq, read: Seq(0) };
                self.of_reader(origin, conversation, What::Cursor { to, command: "received" }, now, fx);
            }
            Command::Read { conversation, seq } => {
                let to = Cursor { received: seq, read: seq };
                self.of_reader(origin, conversation, What::Cursor { to, command: "read" }, now, fx);
            }
            Command::Ping => {
                let id = origin.id.as_deref();
                self.reply(&origin, &Event::Pong { id, time: now.wall }, fx);
            }
            Command::Auth { .. } => {
                let why = Refusal(ErrorCode::Internal, "credentials were not verified");
                self.refused(&origin, "auth", why, fx);
            }
        }
    }

    /// Whether a user's rate allows a message more that is no command: an `auth`, which goes through [`Rules::refresh`], or
    /// one that was refused where it was decoded. If not, it is `owed` the answer that says so.
    pub fn allows<E: Effects>(
        &mut self,
        session: SessionId,
        command: Option<&str>,
        id: Option<&str>,
        owed: bool,
        now: Now,
        fx: &mut E,
    ) -> bool {
        let Some(asking) = self.people.session(session) else { return false };
        let Some(user) = self.people.user(asking.user) else { return false };
        let id = id.and_then(CommandId::new);
        let mut origin = Origin { session, encoding: asking.encoding, user: user.name.clone(), id, wait: 0 };
        let Err(answer) = self.keeps_pace(&mut origin, command, (1, 0), now, fx) else { return true };
        self.answer_all(answer.map(|answer| Answer { owed, ..answer }), fx);
        false
    }

    fn answer_all<E: Effects>(&mut self, answer: Option<Answer>, fx: &mut E) {
        if let Some(answer) = answer {
            self.answer(answer, fx);
        }
    }

    /// Whether a user's rate allows one message more, which counts for so many and so many bytes. If so, it is noted how long
    /// to wait before another conversation, since only that conversation's home knows whether it is a new one.
    ///
    /// # Errors
    /// The answer, if it is not allowed; none to a session that was told before, and is closed.
    fn keeps_pace<E: Effects>(
        &mut self,
        origin: &mut Origin,
        command: Option<&str>,
        (things, bytes): (u32, usize),
        now: Now,
        fx: &mut E,
    ) -> Result<(), Option<Answer>> {
        let Rates { commands, begun } = self.config.rates;
        let (takes, begins) = (commands.takes(things, bytes), begun.takes(1, 0));
        if takes == 0 && begins == 0 {
            return Ok(());
        }
        let account = self.accounts.of(&origin.user, now);
        let verdict = account.commands.ask(takes, &commands);
        let key = self.people.key(origin.session);
        let Some(session) = key.and_then(|key| self.people.sessions.get_mut(key)) else { return Ok(()) };
        if verdict == Verdict::Go {
            origin.wait = u32::try_from(account.begun.wait(begins, &begun)).unwrap_or(u32::MAX);
            session.told.forget(Told::TOO_FAST);
            return Ok(());
        }
        fx.count(Counter::LimitedUser);
        let told = session.told.again(Told::TOO_FAST);
        let wait = match verdict {
            Verdict::Wait(wait) => wait,
            // It was another connection of this user's that was told so often.
            _ if !told => account.commands.time_to_wait(&commands),
            _ => {
                fx.count(Counter::FloodedUser);
                fx.close(session.conn, CloseCode::TooMany, TOO_FAST);
                return Err(None);
            }
        };
        Err(Some(too_fast(origin, command, wait, fx)))
    }

    fn message<E: Effects>(
        &mut self,
        origin: Origin,
        target: Target,
        payload: Payload<'_>,
        now: Now,
        fx: &mut E,
    ) {
        if payload.bytes.len() > self.config.message_size_limit {
            return self.refused(&origin, "message", TOO_LARGE, fx);
        }
        let conversation = match &target {
            Target::User(to) => ConversationId::private(&origin.user, to),
            Target::Group(group) => ConversationId::group(group),
            Target::Everyone => {
                if self.people.session(origin.session).is_none_or(|session| !session.broadcast) {
                    return self.refused(&origin, "message", NO_BROADCAST, fx);
                }
                return self.say_to_everyone(origin, payload, now, fx);
            }
        };
        let what = What::Message { target, kind: payload.kind, bytes: Cow::Borrowed(payload.bytes) };
        self.dispatch(Ask { origin, conversation, what }, now, fx);
    }

    fn join<E: Effects>(&mut self, origin: Origin, group: &GroupName, now: Now, fx: &mut E) {
        let Some(session) = self.people.session(origin.session) else { return };
        let (slot, claims) =
            (session.user, session.extras.as_deref().map_or(&[][..], |extras| &extras.claimed));
        let Some(user) = self.people.user(slot) else { return };
        if !user.groups().iter().any(|membership| membership.group == *group) {
            if !self.config.group_open && !claims.contains(group) {
                return self.refused(&origin, "joinGroup", MAY_NOT_JOIN, fx);
            }
            let groups = user.groups().len() + usize::from(user.joining);
            if groups >= self.config.groups_per_user as usize {
                return self.refused(&origin, "joinGroup", TOO_MANY_GROUPS, fx);
            }
        }
        let home = self.config.router.home_of_group(group);
        let closed = home != self.config.shard && !fx.accepts(home);
        if closed || user.joining == u16::MAX {
            return self.refused(&origin, "joinGroup", BUSY, fx);
        }
        // Counted until `Joined` or `NotJoined` comes back: joins under way cannot get past the limit together.
        if let Some(user) = self.people.users.at_mut(slot) {
            user.joining += 1;
        }
        self.of_group(origin, group, What::Join, now, fx);
    }

    fn typing<E: Effects>(&mut self, origin: Origin, target: Target, now: Now, fx: &mut E) {
        match &target {
            Target::User(to) => self.typing_to(&origin.user, to, &target, fx),
            Target::Group(group) => {
                let conversation = ConversationId::group(group);
                self.dispatch(Ask { origin, conversation, what: What::Typing { target } }, now, fx);
            }
            Target::Everyone => {
                let why = Refusal(ErrorCode::BadRequest, "typing is for a user or a group");
                self.refused(&origin, "typing", why, fx);
            }
        }
    }

    fn typing_to<E: Effects>(&mut self, from: &UserName, to: &UserName, target: &Target, fx: &mut E) {
        if from == to {
            return;
        }
        let frames = fx.encode(&Event::Typing { from, target });
        let topic = topic::typing(&self.config.router, from, None);
        let home = self.config.router.home_of_user(to);
        if home == self.config.shard {
            self.people.send(to, None, &frames, Class::Ephemeral(Some(topic)), fx);
        } else {
            fx.mail(home, Mail::Notice { to: to.clone(), topic, frames });
        }
    }

    /// A command of someone who must take part in a conversation; who is in a group is known at its home only.
    fn of_reader<E: Effects>(
        &mut self,
        origin: Origin,
        conversation: ConversationId,
        what: What<'_>,
        now: Now,
        fx: &mut E,
    ) {
        let me = origin.user.as_str();
        if matches!(conversation.parties(), Parties::Private(a, b) if a != me && b != me) {
            return self.refused(&origin, what.name(), NO_PARTY, fx);
        }
        self.dispatch(Ask { origin, conversation, what }, now, fx);
    }

    fn of_group<E: Effects>(
        &mut self,
        origin: Origin,
        group: &GroupName,
        what: What<'_>,
        now: Now,
        fx: &mut E,
    ) {
        self.dispatch(Ask { origin, conversation: ConversationId::group(group), what }, now, fx);
    }

    /// Brings a command to its conversation's home.
    fn dispatch<E: Effects>(&mut self, ask: Ask<'_>, now: Now, fx: &mut E) {
        let home = self.config.router.home_of_conversation(&ask.conversation);
        if home == self.config.shard {
            self.ask(ask, now, fx);
        } else if fx.accepts(home) {
            fx.mail(home, Mail::Ask(Box::new(ask.into_owned())));
        } else {
            self.refused(&ask.origin, ask.what.name(), BUSY, fx);
        }
    }
}

/// The counter of a command's type.
pub fn command_counter(command: &Command<'_>) -> Counter {
    match command {
        Command::Auth { .. } => Counter::CommandAuth,
        Command::Message { .. } => Counter::CommandMessage,
        Command::JoinGroup { .. } => Counter::CommandJoin,
        Command::LeaveGroup { .. } => Counter::CommandLeave,
        Command::Members { .. } => Counter::CommandMembers,
        Command::Typing { .. } => Counter::CommandTyping,
        Command::History { .. } => Counter::CommandHistory,
        Command::Sync { .. } => Counter::CommandSync,
        Command::Received { .. } => Counter::CommandReceived,
        Command::Read { .. } => Counter::CommandRead,
        Command::Ping => Counter::CommandPing,
    }
}
