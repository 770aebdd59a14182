//! Fan-out on one shard in slices: in order within a group, in turn between groups. Knows no members and no log.

use super::job::{Except, Job, Sweep, UNNUMBERED, run_together};
use super::locals::{LocalGroup, Locals};
use super::people::People;
use super::{Effects, Rules};
use crate::frame::{Class, Frame, Frames, Topic};
use crate::ids::{GroupName, Seq, SessionId, UserName};
use crate::limits::{FANOUT_JOBS, FANOUT_QUANTUM, FANOUT_TOGETHER};
use crate::metrics::Counter;
use crate::slab::Key;
use crate::wire::{Encoding, Event};
use std::collections::VecDeque;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Work {
    Group(Key),
    Broadcast,
    Missed,
}

/// What is under way on this shard. At most one broadcast, one sweep for missed mail and [`FANOUT_JOBS`] messages.
#[derive(Debug)]
pub(super) struct Fan {
    rotation: VecDeque<Work>,
    pub(super) slice_left: u32,
    pub(super) jobs: usize,
    /// [`FANOUT_JOBS`], less in tests.
    pub(super) max_jobs: usize,
    resync: Option<Frames>,
    pub(super) broadcast: Option<Sweep>,
    missed: Option<Sweep>,
    /// Deliveries were missed and nobody was told yet.
    owes_resync: bool,
}

impl Fan {
    pub(super) fn new(slice: u32) -> Self {
        Self {
            rotation: VecDeque::new(),
            slice_left: slice,
            jobs: 0,
            max_jobs: FANOUT_JOBS,
            resync: None,
            broadcast: None,
            missed: None,
            owes_resync: false,
        }
    }

    /// The jobs of a group that nobody here listens to any more: only the acks matter.
    pub(super) fn abandon<E: Effects>(&mut self, jobs: VecDeque<Job>, fx: &mut E) {
        self.jobs -= jobs.len();
        for (conn, ack) in jobs.into_iter().filter_map(|job| job.ack) {
            fx.send(conn, &ack, Class::Reply);
        }
    }

    fn push<E: Effects>(
        &mut self,
        key: Key,
        local: &mut LocalGroup,
        people: &mut People,
        mut job: Job,
        fx: &mut E,
    ) {
        job.end = local.places.len() as u32;
        if local.jobs.is_empty() {
            if job.end <= self.slice_left {
                self.slice_left -= job.run(&local.places, people, self.slice_left, fx);
                debug_assert!(job.is_done(), "there were no more places than sends");
                return;
            }
            self.rotation.push_back(Work::Group(key));
        }
        let full = self.jobs >= self.max_jobs;
        if let Some(resync) = self.resync.as_ref().filter(|_| full) {
            // Ephemeral ones are gone, stored ones are read again after one `resync`; acks go on in order.
            if job.class == Class::Stored && !local.lost {
                local.lost = true;
                self.jobs += 1;
                local.jobs.push_back(Job::resync(resync, job.end));
            }
            if job.ack.is_none() {
                return;
            }
            (job.end, job.frames) = (0, resync.clone());
        }
        self.jobs += 1;
        local.jobs.push_back(job);
    }

    /// Runs a group's jobs, those that stand at the same place together, for up to `budget` sends; tells how many it made and whether
    /// jobs are left.
    fn run_group<E: Effects>(
        &mut self,
        locals: &mut Locals,
        people: &mut People,
        key: Key,
        budget: u32,
        fx: &mut E,
    ) -> (u32, bool) {
        let Some(local) = locals.groups.get_mut(key) else { return (0, false) };
        let mut sent = 0;
        while let Some(cursor) = local.jobs.front().filter(|_| sent < budget).map(|job| job.cursor) {
            let jobs = local.jobs.make_contiguous();
            let together = jobs.iter().take(FANOUT_TOGETHER).take_while(|job| job.cursor == cursor).count();
            let jobs = &mut jobs[..together];
            if cursor == 0 && jobs.iter().any(Job::is_resync) {
                local.lost = false;
                (0..local.taken).for_each(|_| fx.count(Counter::Resyncs));
            }
            let (more, done) = run_together(jobs, &local.places, people, budget - sent, fx);
            sent += more;
            if !done {
                // Vacant places cost as well: a slice ends after so many of them.
                sent = sent.max(budget);
                break;
            }
            local.jobs.drain(..together);
            self.jobs -= together;
        }
        (sent, !local.jobs.is_empty())
    }
}

impl Rules {
    /// `resync`, encoded once and in every encoding, since whoever comes later gets it too.
    fn resync_frames<E: Effects>(&mut self, fx: &mut E) -> Frames {
        let resync = |n| fx.encode_in(Encoding::ALL[n], &Event::Resync);
        self.fan.resync.get_or_insert_with(|| Frames::of_all(resync)).clone()
    }

    /// A group message for the members online on this shard.
    pub(super) fn group_here<E: Effects>(
        &mut self,
        group: &GroupName,
        seq: Seq,
        sender: SessionId,
        frames: Frames,
        ack: Option<Frame>,
        fx: &mut E,
    ) {
        let sending = self.people.session(sender).map(|session| session.conn);
        let except = sending.map_or(Except::Nobody, Except::Conn);
        let ack = sending.zip(ack);
        self.queue(group, Job { seq, frames, class: Class::Stored, except, ack, cursor: 0, end: 0 }, fx);
    }

    /// What is never stored, for the members online on this shard except the one it is about.
    pub(super) fn group_notice_here<E: Effects>(
        &mut self,
        group: &GroupName,
        about: &UserName,
        topic: Topic,
        frames: Frames,
        fx: &mut E,
    ) {
        let except = self.people.find(about).map_or(Except::Nobody, Except::User);
        let class = Class::Ephemeral(Some(topic));
        self.queue(group, Job { seq: UNNUMBERED, frames, class, except, ack: None, cursor: 0, end: 0 }, fx);
    }

    fn queue<E: Effects>(&mut self, group: &GroupName, job: Job, fx: &mut E) {
        fx.count(Counter::FanOuts);
        if self.fan.jobs >= self.fan.max_jobs {
            self.resync_frames(fx);
        }
        let Some(key) = self.locals.find(group) else {
            if let Some((conn, ack)) = job.ack {
                fx.send(conn, &ack, Class::Reply);
            }
            return;
        };
        if let Some(local) = self.locals.groups.get_mut(key) {
            self.fan.push(key, local, &mut self.people, job, fx);
        }
    }

    /// One broadcast for every session of this shard.
    pub(super) fn sweep_broadcast(&mut self, sender: SessionId, frames: Frames) {
        let except = self.people.session(sender).map(|session| session.conn);
        let end = self.people.sessions.high_water();
        self.fan.broadcast = Some(Sweep { frames, class: Class::Ephemeral(None), except, cursor: 0, end });
        self.fan.rotation.push_back(Work::Broadcast);
    }

    /// Deliveries to this shard were dropped on the way: every session is told to `resync`, in slices.
    pub fn missed(&mut self) {
        self.fan.owes_resync = true;
    }

    fn sweep_missed<E: Effects>(&mut self, fx: &mut E) {
        if !std::mem::take(&mut self.fan.owes_resync) {
            return;
        }
        if self.fan.missed.is_none() {
            self.fan.rotation.push_back(Work::Missed);
        }
        let (frames, end) = (self.resync_frames(fx), self.people.sessions.high_water());
        self.fan.missed = Some(Sweep { frames, class: Class::Told, except: None, cursor: 0, end });
    }

    /// One slice of all that is under way; true while work is left.
    pub fn turn<E: Effects>(&mut self, now: crate::clock::Now, fx: &mut E) -> bool {
        let moved = self.tend_cursors(now, fx);
        self.sweep_missed(fx);
        let mut left = self.fan.slice_left;
        while let Some(work) = self.fan.rotation.front().copied().filter(|_| left > 0) {
            self.fan.rotation.pop_front();
            let budget = left.min(FANOUT_QUANTUM);
            let (sent, more) = match work {
                Work::Group(key) => self.fan.run_group(&mut self.locals, &mut self.people, key, budget, fx),
                Work::Broadcast => self.run_broadcast(budget, fx),
                Work::Missed => self.run_missed(budget, fx),
            };
            if more {
                self.fan.rotation.push_back(work);
            }
            left -= sent.clamp(1, left);
        }
        self.fan.slice_left = self.config.fanout_slice.max(1);
        moved || !self.fan.rotation.is_empty()
    }

    fn run_broadcast<E: Effects>(&mut self, budget: u32, fx: &mut E) -> (u32, bool) {
        let Some(sweep) = &mut self.fan.broadcast else { return (0, false) };
        let sent = sweep.run(&mut self.people, budget, fx);
        if sweep.cursor < sweep.end {
            return (sent.max(1), true);
        }
        self.fan.broadcast = None;
        self.broadcast_swept(fx);
        (sent, false)
    }

    fn run_missed<E: Effects>(&mut self, budget: u32, fx: &mut E) -> (u32, bool) {
        let Some(sweep) = &mut self.fan.missed else { return (0, false) };
        let sent = sweep.run(&mut self.people, budget, fx);
        (0..sent).for_each(|_| fx.count(Counter::Resyncs));
        if sweep.cursor < sweep.end {
            return (sent.max(1), true);
        }
        self.fan.missed = None;
        (sent, false)
    }
}
