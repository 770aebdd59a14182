//! The users of one thread, who write to each other. Knows no socket.
//!
//! Under the number of its sender each message says which conversation it is of, and in which direction: private ones
//! come first, two numbers each; then the groups, one number for each member that writes.
use super::super::common::Book;
use super::super::entry::user_name;
use super::super::rooms::Rooms;
use super::MixedArgs;
use super::blend::{Sizes, Zipf};
use super::muster::Muster;
use super::slow::Slow;
use crate::control::Control;
use crate::engine::{After, ConnId, Driver, End, Io, Next};
use crate::ledger::{Faults, Stream};
use crate::limits::{DRAWS_MAX, FAILURE_KINDS_MAX};
use crate::report::MixedPart;
use crate::schedule::Schedule;
use crate::wire::dialect::{Answer, To};
use crate::wire::letter::Letter;
use crate::wire::marker::{Kind, Mark};
use crate::wire::template::Message;
use anyhow::Context;
use fastrand::Rng;
use std::collections::BTreeMap;
use std::time::Duration;

/// Added to each number in a name: all names are of one length.
const NAMES_FROM: usize = 100_000_000;
/// Members of a group that write.
const WRITERS: usize = 4;

/// One thread.
pub(super) struct Mixed<'a> {
    pub(super) book: Book<'a>,
    options: &'a MixedArgs,
    part: (usize, usize),
    names: Vec<Box<str>>,
    groups: Vec<Box<str>>,
    rooms: Rooms,
    /// The two of each private conversation.
    pairs: Vec<[u32; 2]>,
    /// Which conversation has which rank.
    ranks: Vec<u32>,
    zipf: Zipf,
    sizes: Sizes,
    /// By size: to users, to groups.
    letters: Vec<(Letter, Option<Letter>)>,
    rng: Rng,
    /// By sender's number.
    sent: Vec<u32>,
    /// By sender's number for private ones; by group, member and writer for the others.
    private: Vec<Stream>,
    grouped: Vec<Stream>,
    slow: Slow,
    heard: Vec<bool>,
    hearing: usize,
    muster: Muster,
    schedule: Option<Schedule>,
    pings: Option<Schedule>,
    ping_next: usize,
    /// Deliveries to those who read: due, and come.
    due: u64,
    come: u64,
    ended: bool,
    told: MixedPart,
    slow_closed: BTreeMap<String, u64>,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl<'a> Mixed<'a> {
    pub(super) fn new(
        control: &'a Control,
        options: &'a MixedArgs,
        part: (usize, usize),
        (first, count): (usize, usize),
    ) -> anyhow::Result<Self> {
        let number = control.run();
        let mut rng = Rng::with_seed(options.load.seed.wrapping_add(part.0 as u64));
        let private = share_of(options.conversations as usize, part);
        let groups = share_of(options.groups as usize, part);
        let members = options.members as usize;
        let rooms = Rooms { users: count, groups: groups.len(), members, senders: members.min(WRITERS) };
        let mut pair = || {
            let one = rng.usize(0..count);
            let other = (one + rng.usize(1..count)) % count;
            [one, other].map(|user| u32::try_from(user).unwrap_or(u32::MAX))
        };
        let pairs: Vec<[u32; 2]> = private.clone().map(|_| pair()).collect();
        let mut ranks: Vec<u32> = (0..).take(private.len() + groups.len()).collect();
        rng.shuffle(&mut ranks);
        let names: Vec<Box<str>> =
            (0..count).map(|user| user_name(number, NAMES_FROM + first + user).into()).collect();
        let group_names: Vec<Box<str>> =
            groups.map(|group| format!("g{number:08x}n{}", NAMES_FROM + group).into()).collect();
        let letter = |to, name: &str, payload: u32| {
            let dialect = control.dialect();
            let message =
                Message { dialect, to, payload: payload as usize, sender: 0, run: number, ids: false };
            Letter::new(message, name)
                .context("in this --dialect messages name no receiver: `mixed` needs one that does")
        };
        let of_size = |&(size, _): &(u32, u32)| {
            let group = group_names.first().map(|name| letter(To::Group(name), name, size));
            Ok((letter(To::User(&names[0]), &names[0], size)?, group.transpose()?))
        };
        let letters = options.sizes.0.iter().map(of_size).collect::<anyhow::Result<_>>()?;
        let streams = |count| std::iter::repeat_with(Stream::default).take(count).collect();
        let times = (nanos(options.slow_pause), nanos(options.slow_read));
        Ok(Self {
            book: Book::new(control, part.0),
            options,
            part,
            zipf: Zipf::new(ranks.len(), options.zipf),
            sizes: options.sizes.clone(),
            letters,
            sent: vec![0; 2 * pairs.len() + rooms.groups * rooms.senders],
            private: streams(2 * pairs.len()),
            grouped: streams(rooms.groups * rooms.members * rooms.senders),
            slow: Slow::new(count, options.slow_readers, times, &mut rng),
            names,
            groups: group_names,
            muster: Muster::new(rooms),
            rooms,
            pairs,
            ranks,
            rng,
            heard: vec![false; count],
            hearing: 0,
            schedule: None,
            pings: None,
            ping_next: 0,
            due: 0,
            come: 0,
            ended: false,
            told: MixedPart::default(),
            slow_closed: BTreeMap::new(),
        })
    }

    /// Books what never came: what a slow reader missed is told apart.
    pub(super) fn close(&self, faults: &mut Faults, part: &mut MixedPart) {
        faults.add(&self.book.faults);
        let (mut missed, mut cut_short) = (Faults::default(), 0);
        let mut close = |stream: &Stream, sent: u32, writer: ConnId, reader: ConnId| {
            if self.slow.is(reader) {
                stream.close(sent, &mut missed);
            } else if self.slow.gone(writer) {
                cut_short += stream.close_cut(sent, faults);
            } else {
                stream.close(sent, faults);
            }
        };
        for (sender, stream) in self.private.iter().enumerate() {
            let pair = self.pairs[sender / 2].map(|user| user as usize);
            close(stream, self.sent[sender], pair[sender % 2], pair[1 - sender % 2]);
        }
        for (at, stream) in self.grouped.iter().enumerate() {
            let (place, writer) = (at / self.rooms.senders, at % self.rooms.senders);
            let (group, index) = (place / self.rooms.members, place % self.rooms.members);
            if index != writer {
                let sent = self.sent[2 * self.pairs.len() + self.rooms.sender(group, writer)];
                close(stream, sent, self.rooms.user(group, writer), self.rooms.user(group, index));
            }
        }
        part.private_messages += self.told.private_messages;
        part.group_messages += self.told.group_messages;
        self.told.sizes.iter().for_each(|(size, count)| *part.sizes.entry(*size).or_default() += count);
        part.pings += self.told.pings;
        part.pongs += self.told.pongs;
        part.slow_readers += self.slow.count() as u64;
        part.slow_deliveries += self.told.slow_deliveries;
        part.slow_missed += missed.lost;
        part.slow_cut_short += cut_short;
        let closed = &mut part.slow_closed;
        self.slow_closed.iter().for_each(|(kind, count)| *closed.entry(kind.clone()).or_default() += count);
    }

    fn hear(&mut self, conn: ConnId) {
        if !std::mem::replace(&mut self.heard[conn], true) {
            self.hearing += 1;
        }
    }

    /// Signed in: joins, and asks for something to hear.
    fn enter_groups(&mut self, io: &mut Io<'_>, conn: ConnId) {
        for place in self.rooms.places(conn) {
            if self.book.join(io, conn, &self.groups[place.group]) {
                self.muster.joined();
            }
        }
        self.book.ask(io, conn, &self.names[conn]);
    }

    /// Until everyone has been heard, and a message to each group has reached all of its members.
    fn set_up(&mut self, io: &mut Io<'_>, now: u64) {
        if self.hearing == self.heard.len() && self.muster.complete() {
            return self.book.ready();
        }
        if !self.muster.due(now) {
            return;
        }
        for group in self.muster.missing() {
            let Some(letter) = &mut self.letters[0].1 else { return };
            let sender = 2 * self.pairs.len() + self.rooms.sender(group, 0);
            let probe = letter.stamp((number(sender), &self.groups[group]), Kind::Probe, 0, now);
            io.send(self.rooms.user(group, 0), probe);
        }
    }

    /// A probe came: one's own, or one to a group.
    fn probed(&mut self, conn: ConnId, sender: usize) {
        let Some(sender) = sender.checked_sub(2 * self.pairs.len()) else { return self.hear(conn) };
        let (group, _) = self.rooms.sent_by(sender);
        if let Some(place) = self.rooms.place(group, conn) {
            self.muster.heard(place);
        }
    }

    fn begin(&mut self, start: u64) {
        let (part, of) = self.part;
        self.schedule = self.options.load.schedule(part, of, start);
        if self.book.dialect().ping().is_some() {
            let rate = self.names.len() as f64 / self.options.heartbeat.as_secs_f64();
            self.pings = Some(Schedule::new(rate, 0, 1, start, None));
        }
        self.slow.begin(start);
        self.told.sizes = self.sizes.0.iter().map(|&(size, _)| (size, 0)).collect();
    }

    /// Some conversation, which of its members writes, and on which connection: one that the server has not parted with.
    fn draw(&mut self) -> Option<(usize, usize, ConnId)> {
        for _ in 0..DRAWS_MAX {
            let conversation = self.ranks[self.zipf.draw(&mut self.rng)] as usize;
            let (member, conn) = if let Some(pair) = self.pairs.get(conversation) {
                let direction = self.rng.usize(0..2);
                (direction, pair[direction] as usize)
            } else {
                let writer = self.rng.usize(0..self.rooms.senders);
                (writer, self.rooms.user(conversation - self.pairs.len(), writer))
            };
            if !self.slow.gone(conn) {
                return Some((conversation, member, conn));
            }
        }
        None
    }

    /// Sends one message of some conversation; not if hardly anybody is left to write.
    fn write(&mut self, io: &mut Io<'_>, intended: u64) -> Option<()> {
        let (conversation, member, conn) = self.draw()?;
        let size = self.sizes.draw(&mut self.rng);
        let (users, groups) = &mut self.letters[size];
        let (frame, sender);
        if let Some(pair) = self.pairs.get(conversation) {
            let reader = pair[1 - member] as usize;
            sender = 2 * conversation + member;
            self.due += u64::from(!self.slow.is(reader));
            self.told.private_messages += 1;
            frame =
                users.stamp((number(sender), &self.names[reader]), Kind::Work, self.sent[sender], intended);
        } else {
            let letter = groups.as_mut()?;
            let group = conversation - self.pairs.len();
            sender = 2 * self.pairs.len() + self.rooms.sender(group, member);
            let readers = (0..self.rooms.members).filter(|&index| index != member);
            let fast = readers.filter(|&index| !self.slow.is(self.rooms.user(group, index)));
            self.due += fast.count() as u64;
            self.told.group_messages += 1;
            frame =
                letter.stamp((number(sender), &self.groups[group]), Kind::Work, self.sent[sender], intended);
        }
        io.send(conn, frame);
        self.sent[sender] += 1;
        if let Some(count) = self.told.sizes.get_mut(&self.sizes.0[size].0) {
            *count += 1;
        }
        self.book.sent();
        Some(())
    }

    fn write_due(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        let Some(mut schedule) = self.schedule.take() else { return Next::Event };
        while self.book.sending(schedule.next()) {
            let Some(intended) = schedule.due(now) else { break };
            if self.write(io, intended).is_some() {
                io.flush();
                self.book.left(intended);
            }
        }
        let next = self.options.load.next(&schedule);
        self.schedule = Some(schedule);
        next
    }

    fn ping_due(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        let (Some(schedule), Some(ping)) = (&mut self.pings, self.book.dialect().ping()) else {
            return Next::Event;
        };
        while schedule.due(now).is_some() {
            if !self.slow.gone(self.ping_next) {
                io.say(self.ping_next, ping);
                self.told.pings += 1;
            }
            self.ping_next = (self.ping_next + 1) % self.names.len();
        }
        Next::At(schedule.next())
    }

    fn work(&mut self, conn: ConnId, mark: &Mark, now: u64) {
        let sender = mark.sender as usize;
        let inbox = if let Some(pair) = self.pairs.get(sender / 2) {
            (pair[1 - sender % 2] as usize == conn).then(|| &mut self.private[sender])
        } else {
            let (group, writer) = self.rooms.sent_by(sender - 2 * self.pairs.len());
            let place = self.rooms.place(group, conn).filter(|place| place.index != writer);
            place.map(|place| {
                let at = (place.group * self.rooms.members + place.index) * self.rooms.senders + writer;
                &mut self.grouped[at]
            })
        };
        let Some(inbox) = inbox else {
            let own = self.book.dialect().own_group_messages() && sender >= 2 * self.pairs.len();
            self.book.faults.misdelivered += u64::from(!own);
            return;
        };
        if !inbox.arrived(mark.seq, &mut self.book.faults) {
            return;
        }
        if self.slow.is(conn) {
            self.told.slow_deliveries += 1;
            self.book.delivered_apart(mark.time, now);
        } else {
            self.come += 1;
            self.book.delivered(mark.time, now);
        }
    }
}

/// A thread's part of so many things.
fn share_of(count: usize, (part, of): (usize, usize)) -> std::ops::Range<usize> {
    count * part / of..count * (part + 1) / of
}

#[allow(clippy::cast_possible_truncation)] // the options' bounds keep it below 2^32
fn number(sender: usize) -> u32 {
    sender as u32
}

impl Driver for Mixed<'_> {
    fn user(&self, conn: ConnId) -> Option<String> {
        Some(self.names[conn].to_string())
    }

    fn opened(&mut self, io: &mut Io<'_>, conn: ConnId) {
        if self.book.enter(io, conn, &self.names[conn]) {
            self.enter_groups(io, conn);
        }
    }

    fn message(&mut self, io: &mut Io<'_>, conn: ConnId, payload: &[u8], now: u64) {
        let Some(mark) = self.book.mark(payload) else {
            let names = &self.names;
            match self.book.admit(io, conn, payload, || names[conn].to_string()) {
                Answer::Authenticated => self.enter_groups(io, conn),
                Answer::Joined => self.muster.joined(),
                Answer::Pong if self.heard[conn] => self.told.pongs += 1,
                Answer::Pong => self.hear(conn),
                _ => {}
            }
            return;
        };
        match mark.kind {
            Kind::Probe => self.probed(conn, mark.sender as usize),
            Kind::Work => self.work(conn, &mark, now),
            Kind::Broadcast => {}
        }
    }

    fn closed(&mut self, _: &mut Io<'_>, conn: ConnId, end: &End) -> After {
        if !self.slow.is(conn) || self.schedule.is_none() {
            return After::Fail;
        }
        // A server may part with who does not read.
        self.slow.leave(conn);
        let known = self.slow_closed.len() < FAILURE_KINDS_MAX;
        *self.slow_closed.entry(if known { end.kind() } else { "other".into() }).or_default() += 1;
        After::Leave
    }

    fn turn(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        let Some(start) = self.book.control.start() else {
            self.set_up(io, now);
            return Next::Event;
        };
        if self.schedule.is_none() {
            self.begin(start);
        }
        let next = self.write_due(io, now);
        if self.book.sending(now) {
            let pings = self.ping_due(io, now);
            return next.and(pings).and(self.slow.turn(io, now));
        }
        if !std::mem::replace(&mut self.ended, true) {
            self.slow.end(io);
        }
        if self.come >= self.due {
            self.book.done();
        }
        Next::Event
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
