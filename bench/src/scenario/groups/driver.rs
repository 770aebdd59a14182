//! The users of one thread, and the groups whose writers are among them. Knows no socket.
use super::super::common::Book;
use super::super::entry::user_name;
use super::super::rooms::{Place, Rooms};
use super::GroupsArgs;
use crate::engine::{After, ConnId, Driver, End, Io, Next};
use crate::ledger::{Faults, Stream};
use crate::schedule::Schedule;
use crate::wire::dialect::{Answer, To};
use crate::wire::marker::{Kind, Mark};
use crate::wire::template::{Message, Template};
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};

/// Nanoseconds after which a probe is repeated that not everyone has; each time twice as long.
const PROBE_EVERY: u64 = 300_000_000;

/// One group, as all threads see it.
#[derive(Debug, Default)]
struct Group {
    /// Members that have heard a probe.
    heard: AtomicUsize,
    /// Messages so far, and their deliveries: a closed loop's room.
    sent: AtomicU32,
    delivered: AtomicU64,
}

/// What the threads have in common.
#[derive(Debug)]
pub(super) struct Shared {
    joined: AtomicUsize,
    /// Groups whose members have all heard a probe.
    settled: AtomicUsize,
    groups: Box<[Group]>,
}

impl Shared {
    pub(super) fn new(groups: usize) -> Self {
        Self {
            joined: AtomicUsize::new(0),
            settled: AtomicUsize::new(0),
            groups: (0..groups).map(|_| Group::default()).collect(),
        }
    }
}

/// A member that writes.
struct Writer {
    conn: ConnId,
    sender: usize,
    template: Template,
    sent: u32,
}

/// A group whose writers are in this thread.
struct Home {
    group: usize,
    writers: Vec<Writer>,
    turn_of: usize,
}

/// One thread.
pub(super) struct Groups<'a> {
    pub(super) book: Book<'a>,
    options: &'a GroupsArgs,
    rooms: Rooms,
    shared: &'a Shared,
    /// This thread, and how many there are.
    part: (usize, usize),
    /// The first user, and how many.
    range: (usize, usize),
    homes: Vec<Home>,
    /// Where a group is among the homes, for all groups there are.
    home_of: Vec<Option<u32>>,
    /// By user's place and sender.
    inboxes: Vec<Stream>,
    /// By user's place: whether a probe has come.
    heard: Vec<bool>,
    probe_at: u64,
    probe_wait: u64,
    schedule: Option<Schedule>,
    started: bool,
    turn_of: usize,
    /// Homes with room for a further message.
    room: Vec<u32>,
    /// Another thread's group has room.
    wake: bool,
}

impl<'a> Groups<'a> {
    pub(super) fn new(
        book: Book<'a>,
        (options, rooms): (&'a GroupsArgs, Rooms),
        shared: &'a Shared,
        part: (usize, usize),
        range: (usize, usize),
    ) -> Self {
        let (first, count) = range;
        let run = book.control.run();
        let places = rooms.places_max() * count;
        let mut home_of = vec![None; rooms.groups];
        let mut homes = Vec::new();
        let local = (0..rooms.groups).filter(|&group| (first..first + count).contains(&rooms.user(group, 0)));
        for group in local {
            home_of[group] = u32::try_from(homes.len()).ok();
            // The writers are the first members, as far as they are in this thread.
            let here = rooms.senders.min(first + count - rooms.user(group, 0));
            let writer = |index: usize| Writer {
                conn: rooms.user(group, index) - first,
                sender: rooms.sender(group, index),
                template: Template::new(Message {
                    dialect: book.control.dialect(),
                    to: To::Group(&group_name(run, group)),
                    payload: options.load.payload as usize,
                    sender: u32::try_from(rooms.sender(group, index)).unwrap_or(u32::MAX),
                    run,
                    ids: options.ids,
                }),
                sent: 0,
            };
            homes.push(Home { group, writers: (0..here).map(writer).collect(), turn_of: 0 });
        }
        let mut inboxes = Vec::new();
        inboxes.resize_with(places * rooms.senders, Stream::default);
        // One connection writes under several numbers.
        let mut writers = vec![None; if options.ids { rooms.groups * rooms.senders } else { 0 }];
        for writer in homes.iter().flat_map(|home| &home.writers).filter(|_| options.ids) {
            writers[writer.sender] = Some(writer.conn);
        }
        Self {
            book: book.with_acks(0, writers.into_iter()),
            options,
            rooms,
            shared,
            part,
            range,
            homes,
            home_of,
            inboxes,
            heard: vec![false; places],
            probe_at: 0,
            probe_wait: PROBE_EVERY,
            schedule: None,
            started: false,
            turn_of: 0,
            room: Vec::new(),
            wake: false,
        }
    }

    /// Says what its writers sent.
    pub(super) fn tell(&self, sent: &mut [u32]) {
        for writer in self.homes.iter().flat_map(|home| &home.writers) {
            sent[writer.sender] = writer.sent;
        }
    }

    /// Books what was `sent`, by sender, and never came.
    pub(super) fn close(&self, sent: &[u32], faults: &mut Faults) {
        faults.add(&self.book.faults);
        let (first, count) = self.range;
        for user in first..first + count {
            for place in self.rooms.places(user) {
                for index in (0..self.rooms.senders).filter(|&index| index != place.index) {
                    let sent = sent[self.rooms.sender(place.group, index)];
                    self.inboxes[self.inbox(user - first, place, index)].close(sent, faults);
                }
            }
        }
        if self.options.ids {
            faults.unacked += self.book.unacked();
        }
    }

    fn at(&self, conn: ConnId, place: Place) -> usize {
        place.nth * self.range.1 + conn
    }

    fn inbox(&self, conn: ConnId, place: Place, index: usize) -> usize {
        self.at(conn, place) * self.rooms.senders + index
    }

    fn readers(&self) -> u64 {
        self.rooms.members as u64 - 1
    }

    /// Until everyone has joined, and heard a probe in each of the groups.
    fn set_up(&mut self, io: &mut Io<'_>, now: u64) {
        if self.shared.settled.load(Acquire) == self.rooms.groups {
            return self.book.ready();
        }
        let everyone = self.rooms.groups * self.rooms.members;
        if self.shared.joined.load(Acquire) < everyone || now < self.probe_at {
            return;
        }
        self.probe_at = now + self.probe_wait;
        self.probe_wait *= 2;
        for home in &mut self.homes {
            if self.shared.groups[home.group].heard.load(Acquire) < self.rooms.members - 1 {
                let writer = &mut home.writers[0];
                io.send(writer.conn, writer.template.stamp(Kind::Probe, 0, now));
            }
        }
    }

    fn probed(&mut self, conn: ConnId, place: Place) {
        let at = self.at(conn, place);
        // The first member is who asks.
        if place.index == 0 || std::mem::replace(&mut self.heard[at], true) {
            return;
        }
        let heard = self.shared.groups[place.group].heard.fetch_add(1, AcqRel) + 1;
        if heard == self.rooms.members - 1 {
            self.shared.settled.fetch_add(1, AcqRel);
            self.book.control.wake_all();
        }
    }

    fn publish(&mut self, io: &mut Io<'_>, home: usize, intended: u64) {
        let home = &mut self.homes[home];
        let writer = &mut home.writers[home.turn_of];
        io.send(writer.conn, writer.template.stamp(Kind::Work, writer.sent, intended));
        writer.sent += 1;
        let sender = writer.sender;
        home.turn_of = (home.turn_of + 1) % home.writers.len();
        self.shared.groups[home.group].sent.fetch_add(1, AcqRel);
        self.book.sent_by(sender, intended);
    }

    fn begin(&mut self, start: u64) {
        self.started = true;
        let load = &self.options.load;
        if load.open_loop() && !self.homes.is_empty() {
            // The rate is each group's; the threads' schedules are shifted against each other.
            let shift = 1e9 / (load.rate * self.rooms.groups as f64) * self.part.0 as f64;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // less than the gap of a group
            let start = start + shift as u64;
            let seed = load.poisson.then(|| load.seed.wrapping_add(self.part.0 as u64));
            self.schedule = Some(Schedule::new(load.rate * self.homes.len() as f64, 0, 1, start, seed));
        }
        if !load.open_loop() {
            self.room.extend((0..self.homes.len()).filter_map(|home| u32::try_from(home).ok()));
        }
    }

    fn publish_due(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        let Some(mut schedule) = self.schedule.take() else { return Next::Event };
        while self.book.sending(schedule.next()) {
            let Some(intended) = schedule.due(now) else { break };
            self.publish(io, self.turn_of, intended);
            io.flush();
            self.book.left(intended);
            self.turn_of = (self.turn_of + 1) % self.homes.len();
        }
        let next = if self.book.sending(now) { self.options.load.next(&schedule) } else { Next::Event };
        self.schedule = Some(schedule);
        next
    }

    /// Whether a group's window has room: counted in deliveries, so with more than one in flight a quick member may be
    /// ahead of a slow one.
    fn has_room(&self, group: usize) -> bool {
        let Some(in_flight) = self.options.load.in_flight else { return false };
        let group = &self.shared.groups[group];
        let (sent, delivered) = (u64::from(group.sent.load(Acquire)), group.delivered.load(Acquire));
        sent * self.readers() < delivered + u64::from(in_flight) * self.readers()
    }

    /// A closed loop's delivery: a further message may follow, from here or from another thread.
    fn made_room(&mut self, group: usize) {
        self.shared.groups[group].delivered.fetch_add(1, AcqRel);
        if self.has_room(group) {
            match self.home_of[group] {
                Some(home) => self.room.push(home),
                None => self.wake = true,
            }
        }
    }

    fn fill_room(&mut self, io: &mut Io<'_>, now: u64) {
        if self.part.1 > 1 {
            // Others may have made room; there is no telling where.
            self.room.clear();
            self.room.extend((0..self.homes.len()).filter_map(|home| u32::try_from(home).ok()));
        }
        while let Some(home) = self.room.pop() {
            let home = home as usize;
            while self.book.sending(now) && self.has_room(self.homes[home].group) {
                self.publish(io, home, now);
            }
        }
        if std::mem::take(&mut self.wake) {
            self.book.control.wake_all();
        }
    }

    fn quiet(&self) -> bool {
        let control = self.book.control;
        let sent = control.total(|tallies| &tallies.sent);
        let acked = !self.options.ids || control.total(|tallies| &tallies.acked) >= sent;
        acked && control.total(|tallies| &tallies.delivered) >= sent * self.readers()
    }

    fn name(&self, conn: ConnId) -> String {
        user_name(self.book.control.run(), self.range.0 + conn)
    }

    fn join(&mut self, io: &mut Io<'_>, conn: ConnId) {
        let run = self.book.control.run();
        for place in self.rooms.places(self.range.0 + conn) {
            if self.book.join(io, conn, &group_name(run, place.group)) {
                self.shared.joined.fetch_add(1, AcqRel);
            }
        }
    }

    fn work(&mut self, conn: ConnId, mark: &Mark, now: u64) {
        let (group, index) = self.rooms.sent_by(mark.sender as usize);
        let Some(place) = self.rooms.place(group, self.range.0 + conn) else {
            self.book.faults.misdelivered += 1;
            return;
        };
        if place.index == index {
            self.book.faults.misdelivered += u64::from(!self.book.dialect().own_group_messages());
            return;
        }
        let inbox = self.inbox(conn, place, index);
        if self.inboxes[inbox].arrived(mark.seq, &mut self.book.faults) {
            self.book.delivered(mark.time, now);
            if !self.options.load.open_loop() {
                self.made_room(group);
            }
        }
    }
}

fn group_name(run: u32, group: usize) -> String {
    format!("g{run:08x}n{group}")
}

impl Driver for Groups<'_> {
    fn closed(&mut self, _: &mut Io<'_>, conn: ConnId, end: &End) -> After {
        // Connections at rest may fail, and the run goes on; it cannot go on without this one.
        if !self.started && self.options.rest.spare() > 0 {
            self.book
                .control
                .call_off(&format!("the connection of user {} failed: {end}", self.range.0 + conn));
        }
        After::Fail
    }

    fn path(&self, conn: ConnId) -> Option<String> {
        let place = self.rooms.places(self.range.0 + conn).next()?;
        let group = group_name(self.book.control.run(), place.group);
        self.book.dialect().group_path(&self.name(conn), &group)
    }

    fn user(&self, conn: ConnId) -> Option<String> {
        Some(self.name(conn))
    }

    fn opened(&mut self, io: &mut Io<'_>, conn: ConnId) {
        if self.book.enter(io, conn, &self.name(conn)) {
            self.join(io, conn);
        }
    }

    fn message(&mut self, io: &mut Io<'_>, conn: ConnId, payload: &[u8], now: u64) {
        let Some(mark) = self.book.mark(payload) else {
            let (run, user) = (self.book.control.run(), self.range.0 + conn);
            match self.book.admit(io, conn, payload, || user_name(run, user)) {
                Answer::Authenticated => self.join(io, conn),
                Answer::Joined => {
                    self.shared.joined.fetch_add(1, AcqRel);
                }
                _ => {}
            }
            return;
        };
        match mark.kind {
            Kind::Work => self.work(conn, &mark, now),
            Kind::Probe => {
                let (group, _) = self.rooms.sent_by(mark.sender as usize);
                if let Some(place) = self.rooms.place(group, self.range.0 + conn) {
                    self.probed(conn, place);
                }
            }
            Kind::Broadcast => {}
        }
    }

    fn turn(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        let Some(start) = self.book.control.start() else {
            self.set_up(io, now);
            return Next::Event;
        };
        if !self.started {
            self.begin(start);
        }
        let next = self.publish_due(io, now);
        if !self.options.load.open_loop() {
            self.fill_room(io, now);
        }
        if !self.book.sending(now) && self.quiet() {
            self.book.done();
        }
        next
    }
}
