//! Connections that sign in, are heard once, and then only listen; one of them may speak to everyone. Knows no socket.
use super::common::Book;
use super::entry::Heard;
use crate::control::{Control, Phase};
use crate::engine::{After, ConnId, Driver, End, Io, Next};
use crate::ledger::{Faults, Stream};
use crate::wire::dialect::To;
use crate::wire::marker::Kind;
use crate::wire::template::{Message, Template};

/// The crowd of one thread.
pub(crate) struct Crowd<'a> {
    pub(crate) book: Book<'a>,
    first: usize,
    heard: Vec<bool>,
    hearing: usize,
    /// What broadcasts each has seen, when there are any.
    inboxes: Vec<Stream>,
    speaker: Option<Speaker>,
    polite: bool,
    /// Each is to send and receive once.
    asks: bool,
}

/// Broadcasts from the crowd's first connection.
pub(crate) struct Speaker {
    template: Template,
    /// Nanoseconds between two.
    every: u64,
    next: u64,
    pub(crate) sent: u32,
    pub(crate) delivered: u64,
}

impl Speaker {
    pub(crate) fn new(control: &Control, payload: usize, every: u64) -> Self {
        let template = Template::new(Message {
            dialect: control.dialect(),
            to: To::Everyone,
            payload,
            sender: 0,
            run: control.run(),
            ids: false,
        });
        Self { template, every, next: 0, sent: 0, delivered: 0 }
    }
}

impl<'a> Crowd<'a> {
    /// `count` connections, the `first` of them numbered so among all of the run.
    pub(crate) fn new((control, thread): (&'a Control, usize), (first, count): (usize, usize)) -> Self {
        Self {
            book: Book::new(control, thread),
            first,
            heard: vec![false; count],
            hearing: 0,
            inboxes: Vec::new(),
            speaker: None,
            polite: false,
            asks: true,
        }
    }

    /// Each counts as heard by the answer to its sign-in: it sends nothing else.
    pub(crate) fn silent(self) -> Self {
        Self { asks: false, ..self }
    }

    /// With a speaker, and with its thread behind all others: what the crowd receives must not delay those who measure.
    pub(crate) fn speaking(mut self, speaker: Speaker) -> Self {
        self.inboxes.resize_with(self.heard.len(), Stream::default);
        self.speaker = Some(speaker);
        self.polite = true;
        self
    }

    /// The speaker, for the report.
    pub(crate) fn speaker(&self) -> Option<&Speaker> {
        self.speaker.as_ref()
    }

    /// Books broadcasts that some did not get.
    pub(crate) fn close(&self, faults: &mut Faults) {
        faults.add(&self.book.faults);
        if let Some(speaker) = &self.speaker {
            // The first one is the speaker.
            self.inboxes.iter().skip(1).for_each(|inbox| inbox.close(speaker.sent, faults));
        }
    }

    fn step_back(&mut self) {
        if std::mem::take(&mut self.polite) {
            // Where it is refused, the difference that is reported is an upper bound.
            let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 19);
        }
    }

    fn hear(&mut self, conn: ConnId) {
        if !std::mem::replace(&mut self.heard[conn], true) {
            self.hearing += 1;
        }
    }

    fn speak(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        let Some(speaker) = &mut self.speaker else { return Next::Event };
        if self.book.control.phase(now) != Phase::Measure {
            return Next::Event;
        }
        if speaker.next == 0 {
            // Half a beat after a slice begins: what follows a broadcast stays within its slice.
            let (from, _) = self.book.control.measured().unwrap_or((now, now));
            speaker.next = from + speaker.every / 2;
        }
        while now >= speaker.next {
            if self.book.disturbed(speaker.next) {
                io.send(0, speaker.template.stamp(Kind::Broadcast, speaker.sent, speaker.next));
                speaker.sent += 1;
            }
            speaker.next += speaker.every;
        }
        Next::At(speaker.next)
    }

    fn quiet(&self) -> bool {
        let others = (self.heard.len() as u64).saturating_sub(1);
        self.speaker.as_ref().is_none_or(|speaker| speaker.delivered >= u64::from(speaker.sent) * others)
    }
}

impl Driver for Crowd<'_> {
    fn path(&self, conn: ConnId) -> Option<String> {
        self.book.path_alone(self.first + conn)
    }

    fn user(&self, conn: ConnId) -> Option<String> {
        Some(self.book.name(self.first + conn))
    }

    fn opened(&mut self, io: &mut Io<'_>, conn: ConnId) {
        self.book.enter_alone(io, conn, self.first + conn);
    }

    fn message(&mut self, io: &mut Io<'_>, conn: ConnId, payload: &[u8], _: u64) {
        let user = self.first + conn;
        match (self.book.listen(io, (conn, user), payload), &mut self.speaker) {
            (Heard::SignedIn, _) if !self.asks => self.hear(conn),
            (Heard::SignedIn, _) => self.book.ask(io, conn, &self.book.name(user)),
            (Heard::Asked, _) => self.hear(conn),
            (Heard::Broadcast(seq), Some(speaker))
                if self.inboxes[conn].arrived(seq, &mut self.book.faults) =>
            {
                speaker.delivered += 1;
            }
            _ => {}
        }
    }

    fn closed(&mut self, _: &mut Io<'_>, conn: ConnId, _: &End) -> After {
        // Nobody is to wait for it any more.
        self.hear(conn);
        After::Fail
    }

    fn turn(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        self.step_back();
        if self.hearing == self.heard.len() {
            self.book.ready();
        }
        let next = self.speak(io, now);
        if self.book.control.phase(now) == Phase::Drain && self.quiet() {
            self.book.done();
        }
        next
    }
}
