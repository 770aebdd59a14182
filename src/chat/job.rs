//! What is under way to many sessions of one shard, each with a cursor. Knows neither groups nor turns.

use super::Effects;
use super::locals::{Place, VACANT};
use super::people::People;
use super::send::{send_in, send_own};
use crate::frame::{Class, Frame, Frames};
use crate::ids::{ConnId, Seq};
use crate::limits::FANOUT_VISITS;
use crate::metrics::Counter;

/// The `seq` of what is not a message: later than everybody's `since`, earlier than nobody's.
pub(super) const UNNUMBERED: Seq = Seq(u64::MAX);

/// Whom a job leaves out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Except {
    Nobody,
    /// The sending session.
    Conn(ConnId),
    /// All sessions of the user it is about.
    User(u32),
}

/// One frame on its way to a group's sessions on this shard.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) seq: Seq,
    pub(super) frames: Frames,
    pub(super) class: Class,
    pub(super) except: Except,
    /// The sender's ack, sent when the job begins or, of several that run together, at the sender's place: acks and messages of
    /// one group keep their order.
    pub(super) ack: Option<(ConnId, Frame)>,
    pub(super) cursor: u32,
    /// Fixed when the job is queued: who comes later reads the log.
    pub(super) end: u32,
}

impl Job {
    /// Tells everyone that messages are gone.
    pub(super) fn resync(frames: &Frames, end: u32) -> Self {
        let (frames, class) = (frames.clone(), Class::Told);
        Self { seq: UNNUMBERED, frames, class, except: Except::Nobody, ack: None, cursor: 0, end }
    }

    /// Makes up to `budget` sends; tells how many it made.
    pub(super) fn run<E: Effects>(
        &mut self,
        places: &[Place],
        people: &mut People,
        budget: u32,
        fx: &mut E,
    ) -> u32 {
        self.send_ack(fx);
        let visits_end = self.end.min(self.cursor.saturating_add(budget.saturating_mul(FANOUT_VISITS)));
        let mut sent = 0;
        while self.cursor < visits_end && sent < budget {
            let place = &places[self.cursor as usize];
            self.cursor += 1;
            sent += u32::from(self.send_to(place, people, fx));
        }
        sent
    }

    fn send_ack<E: Effects>(&mut self, fx: &mut E) {
        if let Some((conn, ack)) = self.ack.take() {
            fx.send(conn, &ack, Class::Reply);
        }
    }

    /// Sends to whoever has this place, unless it is not meant.
    #[inline]
    fn send_to<E: Effects>(&self, place: &Place, people: &mut People, fx: &mut E) -> bool {
        let left_out = match self.except {
            Except::Nobody => false,
            Except::Conn(conn) => place.conn == conn,
            Except::User(user) => place.user == user,
        };
        if place.since >= self.seq || left_out {
            return false;
        }
        if !send_in(place.conn, place.encoding, &self.frames, self.class, fx) {
            people.unencoded(place.user, place.conn, self.class, fx);
        } else if self.class == Class::Stored {
            fx.count(Counter::Delivered);
        }
        true
    }

    /// Messages that came when there was no room are gone: it tells so.
    pub(super) fn is_resync(&self) -> bool {
        self.class == Class::Told
    }

    pub(super) fn is_done(&self) -> bool {
        self.cursor >= self.end
    }
}

/// Runs jobs that stand at the same place together, place by place: what a session gets of them leaves in one send. Makes up to
/// `budget` sends and those of a last place; tells how many it made, and whether all are done.
pub(super) fn run_together<E: Effects>(
    jobs: &mut [Job],
    places: &[Place],
    people: &mut People,
    budget: u32,
    fx: &mut E,
) -> (u32, bool) {
    if let [job] = jobs {
        return (job.run(places, people, budget, fx), job.is_done());
    }
    let (Some(start), Some(end)) =
        (jobs.iter().map(|job| job.cursor).min(), jobs.iter().map(|job| job.end).max())
    else {
        return (0, true);
    };
    let visits = budget.saturating_mul(FANOUT_VISITS) / jobs.len() as u32;
    let visits_end = end.min(start.saturating_add(visits.max(1)));
    let (mut at, mut sent) = (start, 0);
    while at < visits_end && sent < budget {
        let place = &places[at as usize];
        for job in &mut *jobs {
            // A sender's ack stands where its message would: between those of the others that it gets.
            if job.ack.as_ref().is_some_and(|(conn, _)| *conn == place.conn) && place.since != VACANT {
                job.send_ack(fx);
            } else if at < job.end {
                sent += u32::from(job.send_to(place, people, fx));
            }
        }
        at += 1;
    }
    jobs.iter_mut().for_each(|job| job.cursor = at);
    if at >= end {
        jobs.iter_mut().for_each(|job| job.send_ack(fx));
    }
    (sent, at >= end)
}

/// One frame on its way to every session of the shard.
#[derive(Debug)]
pub(super) struct Sweep {
    pub(super) frames: Frames,
    pub(super) class: Class,
    pub(super) except: Option<ConnId>,
    pub(super) cursor: u32,
    pub(super) end: u32,
}

impl Sweep {
    /// Makes up to `budget` sends; tells how many it made.
    pub(super) fn run<E: Effects>(&mut self, people: &mut People, budget: u32, fx: &mut E) -> u32 {
        let visits_end = self.end.min(self.cursor.saturating_add(budget.saturating_mul(FANOUT_VISITS)));
        let mut sent = 0;
        while self.cursor < visits_end && sent < budget {
            let session = people.sessions.at_mut(self.cursor);
            self.cursor += 1;
            if let Some(session) = session.filter(|session| Some(session.conn) != self.except) {
                send_own(session, &self.frames, self.class, fx);
                sent += 1;
            }
        }
        sent
    }
}
