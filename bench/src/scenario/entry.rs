//! A connection's way in, as its dialect has it: greeting, sign-in, joining, signs of life. Knows no workload.
//!
//! Dialects differ in what they confirm. Where nothing answers a step, the step counts as done when it was sent, and a
//! scenario learns by its probes whether it was.
use super::common::Book;
use crate::engine::{ConnId, Io, bump};
use crate::wire::dialect::{Answer, Dialect, To};
use crate::wire::marker::{self, Kind};
use crate::wire::template::{Message, Template};

/// What came to a connection that only signs in and listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The server's word that its user is signed in.
    SignedIn,
    /// What it asked for.
    Asked,
    /// An ack, and what it had missed.
    Acked,
    Synced,
    /// A broadcast, with its count.
    Broadcast(u32),
    /// Nothing that it waits for.
    Nothing,
}

/// The name of a run's user.
pub(crate) fn user_name(run: u32, number: usize) -> String {
    format!("u{run:08x}n{number}")
}

impl<'a> Book<'a> {
    /// What the server is told and answers.
    pub(crate) fn dialect(&self) -> &'a Dialect {
        self.control.dialect()
    }

    /// A connection was upgraded: sends what its dialect begins with. Whether the server is ready by that; otherwise
    /// [`Answer::Welcome`] follows.
    pub(crate) fn greet(&self, io: &mut Io<'_>, conn: ConnId) -> bool {
        for message in self.dialect().greeting() {
            io.say(conn, message);
        }
        !self.dialect().answers_with(Answer::Welcome)
    }

    /// Greets and signs in. Whether the user counts as signed in by that; otherwise [`Self::admit`] says when.
    pub(crate) fn enter(&self, io: &mut Io<'_>, conn: ConnId, user: &str) -> bool {
        self.greet(io, conn) && self.sign_in(io, conn, user)
    }

    fn sign_in(&self, io: &mut Io<'_>, conn: ConnId, user: &str) -> bool {
        if let Some(message) = self.control.sign_in(user) {
            io.say(conn, &message);
        }
        !self.dialect().answers_with(Answer::Authenticated)
    }

    /// Asks for something to hear: a sign of life, or a message to oneself where there is none.
    pub(crate) fn ask(&self, io: &mut Io<'_>, conn: ConnId, user: &str) {
        if let Some(ping) = self.dialect().ping() {
            return io.say(conn, ping);
        }
        let mut probe = Template::new(Message {
            dialect: self.dialect(),
            to: To::User(user),
            payload: marker::SIZE,
            sender: 0,
            run: self.control.run(),
            ids: false,
        });
        io.send(conn, probe.stamp(Kind::Probe, 0, 0));
    }

    /// Joins a group. Whether the user counts as a member by that; otherwise [`Answer::Joined`] follows.
    pub(crate) fn join(&self, io: &mut Io<'_>, conn: ConnId, group: &str) -> bool {
        if let Some(message) = self.dialect().join(group) {
            io.say(conn, &message);
        }
        !self.dialect().answers_with(Answer::Joined)
    }

    /// Counts what carries no mark of this run, and gives the server the sign of life that it asks for.
    pub(crate) fn answer(&mut self, io: &mut Io<'_>, conn: ConnId, message: &[u8]) -> Answer {
        let answer = self.dialect().answer(message);
        match answer {
            Answer::Ack => self.acked(conn, message),
            Answer::Heartbeat => {
                if let Some(sign) = self.dialect().heartbeat() {
                    io.say(conn, sign);
                    bump(&self.tallies.pings, 1);
                }
            }
            Answer::Error => {
                bump(&self.tallies.errors, 1);
                self.control.note(&format!("server: {}", self.dialect().error(message)));
            }
            _ => {}
        }
        answer
    }

    /// The same, and goes on with the sign-in once the user is welcome. [`Answer::Authenticated`] says that the user is
    /// signed in, whatever the dialect.
    pub(crate) fn admit(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnId,
        message: &[u8],
        user: impl FnOnce() -> String,
    ) -> Answer {
        match self.answer(io, conn, message) {
            Answer::Welcome if self.sign_in(io, conn, &user()) => Answer::Authenticated,
            answer => answer,
        }
    }

    /// The name of this run's user with this number.
    pub(crate) fn name(&self, user: usize) -> String {
        user_name(self.control.run(), user)
    }

    /// Where a user connects who talks to nobody else.
    pub(crate) fn path_alone(&self, user: usize) -> Option<String> {
        let name = self.name(user);
        self.dialect().path(&name, &name)
    }

    /// Signs such a user in, and asks for something to hear once that is done: where the server answers a sign-in,
    /// [`Self::listen`] says when.
    pub(crate) fn enter_alone(&self, io: &mut Io<'_>, conn: ConnId, user: usize) {
        let name = self.name(user);
        if self.enter(io, conn, &name) {
            self.ask(io, conn, &name);
        }
    }

    /// What such a user hears.
    pub(crate) fn listen(&mut self, io: &mut Io<'_>, (conn, user): (ConnId, usize), message: &[u8]) -> Heard {
        if let Some(mark) = self.mark(message) {
            return match mark.kind {
                Kind::Probe => Heard::Asked,
                Kind::Broadcast => Heard::Broadcast(mark.seq),
                Kind::Work => {
                    // Nobody writes to those who only listen.
                    self.faults.misdelivered += 1;
                    Heard::Nothing
                }
            };
        }
        let run = self.control.run();
        match self.admit(io, conn, message, || user_name(run, user)) {
            Answer::Authenticated if self.dialect().answers_with(Answer::Authenticated) => Heard::SignedIn,
            Answer::Authenticated => {
                self.ask(io, conn, &self.name(user));
                Heard::Nothing
            }
            Answer::Pong => Heard::Asked,
            Answer::Ack => Heard::Acked,
            Answer::Synced => Heard::Synced,
            _ => Heard::Nothing,
        }
    }
}
