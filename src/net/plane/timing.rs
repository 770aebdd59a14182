//! Time for connections: sign-in and close deadlines, and the heartbeat as a cursor that sweeps the slab.

use super::{Flags, Notice, Plane, State};
use crate::frame::{Class, Topic};
use crate::ids::ConnId;
use crate::meter::TICK_MS;
use crate::metrics::Counter;
use crate::net::http;
use crate::net::outbox::Pushed;
use crate::wire::CloseCode;

/// Looks at each slot in one interval (number): one of them pings, and each finds who has been silent for too long. So whoever
/// is, is closed no later than one part of so many after it.
const LOOKS: u32 = 8;
/// Slots looked at in one turn at most (number): a sweep that is late catches up over several turns.
const SWEEP_SLICE: u32 = 1024 * LOOKS;
/// The sweep does not wake an idle shard more often than this (ms).
const SWEEP_TICK_MIN: u64 = 20;
/// Of pings one in a queue is enough.
const PING_TOPIC: u64 = 1;

/// Where the heartbeat is: it passes over all slots [`LOOKS`] times per interval, evenly, and each slot's ping has its pass.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    cursor: u32,
    /// Passes over all slots (number, wrapping).
    pass: u32,
    /// Uptime of the last look.
    since: u64,
    /// Looks due, in units of one interval's part: what is left over is not lost and not done twice.
    owed: u64,
}

impl Sweep {
    /// How many slots to look at now, so that each is looked at so often per interval (ms).
    fn due(&mut self, slots: u64, interval: u64, uptime: u64) -> u64 {
        let elapsed = uptime.saturating_sub(self.since);
        let per_interval = slots * u64::from(LOOKS);
        self.since = uptime;
        self.owed = (self.owed + per_interval * elapsed).min(per_interval * interval);
        let looks = (self.owed / interval).min(u64::from(SWEEP_SLICE));
        self.owed -= looks * interval;
        looks
    }

    /// How long it is until the next look (ms).
    fn wait(&self, slots: u64, interval: u64) -> u64 {
        interval.saturating_sub(self.owed).div_ceil(slots.max(1) * u64::from(LOOKS))
    }

    /// The slot to look at, and whether it is time for its ping.
    fn next(&mut self, slots: u64) -> (u32, bool) {
        let index = self.cursor;
        let pings = index.wrapping_add(self.pass).is_multiple_of(LOOKS);
        self.cursor = if u64::from(index) + 1 >= slots { 0 } else { index + 1 };
        self.pass = self.pass.wrapping_add(u32::from(self.cursor == 0));
        (index, pings)
    }
}

impl Plane {
    /// A process that was stopped, or whose machine was, has pinged nobody meanwhile: nobody's silence of that time means
    /// anything. Less than half an interval is let pass: two intervals are long enough for that.
    #[inline]
    pub(super) fn note_standstill(&mut self, uptime: u64) {
        let patience = self.config.ping_interval / 2;
        if uptime.saturating_sub(self.uptime) > patience
            && self.next_deadline().is_some_and(|due| uptime > due.saturating_add(patience))
        {
            self.stood_until = uptime;
        }
    }

    /// Does what is due; part of each turn.
    pub fn tick(&mut self) {
        let uptime = self.uptime;
        while let Some((at, id)) = self.next_head() {
            if at > uptime {
                break;
            }
            self.heads_seen += 1;
            self.expire_head(id);
        }
        while let Some(&(at, id)) = self.sign_in_by.front() {
            if at > uptime {
                break;
            }
            self.sign_in_by.pop_front();
            self.heads_seen = self.heads_seen.saturating_sub(1);
            self.expire_sign_in(id);
        }
        while let Some(&(at, id)) = self.closed_by.front() {
            if at > uptime {
                break;
            }
            self.closed_by.pop_front();
            if self.conn(id).is_some_and(|c| matches!(c.state, State::Closing | State::Lingering)) {
                self.drop_connection(id);
            }
        }
        if self.config.ping_interval > 0 {
            self.sweep();
        }
        self.admit_again();
        self.accept_again();
        self.relieve();
        shrink(&mut self.sign_in_by);
        shrink(&mut self.closed_by);
    }

    /// When the next request's head must have come, and whose. The same queue holds the later deadline for signing in.
    fn next_head(&self) -> Option<(u64, ConnId)> {
        let earlier = self.config.sign_in_timeout.checked_sub(self.config.head_timeout)?;
        self.sign_in_by.get(self.heads_seen).map(|&(at, id)| (at.saturating_sub(earlier), id))
    }

    fn expire_head(&mut self, id: ConnId) {
        if self.is_unknown(id) {
            return self.refuse_introduction(id, Counter::ProxyLate);
        }
        if self.conn(id).is_some_and(|conn| conn.state == State::Head) {
            self.counters.count(Counter::HeadTimeouts);
            if self.is_handshaking(id) {
                self.counters.count(Counter::TlsFailed);
                return self.lost(id);
            }
            self.answer_http(id, &http::timeout());
        }
    }

    fn expire_sign_in(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id) else { return };
        match conn.state {
            State::Head => self.lost(id),
            State::Open | State::Moving if self.config.sign_in => {
                self.close(id, CloseCode::NeverSignedIn, "nobody signed in on this connection in time");
            }
            _ => {}
        }
    }

    /// Looks at as many slots as the time since the last look asks for.
    fn sweep(&mut self) {
        let slots = u64::from(self.conns.high_water());
        let looks = self.sweep.due(slots, self.config.ping_interval, self.uptime);
        for _ in 0..looks {
            let (index, pings) = self.sweep.next(slots);
            self.look_at(index, pings);
        }
    }

    /// Closes a connection that has been silent for two intervals, and pings one that has not, if its ping is due.
    fn look_at(&mut self, index: u32, pings: bool) {
        let interval = self.config.ping_interval;
        let Some((key, conn)) = self.conns.at(index) else { return };
        let id = ConnId::from(key);
        if !matches!(conn.state, State::Open | State::Live)
            || (conn.state == State::Open && self.config.sign_in)
        {
            return;
        }
        let tag = conn.tag();
        // Whom the shard itself does not read cannot be heard.
        let silent = conn.silent_for(self.uptime).min(self.uptime.saturating_sub(self.stood_until));
        // A tick more: what was heard may have come at any time in its tick.
        if silent >= 2 * interval + TICK_MS && !conn.flags.has(Flags::HELD) {
            return self.close(id, CloseCode::NoPong, "no sign of life for two heartbeats");
        }
        if !pings {
            return;
        }
        self.send_ping(id);
        self.grow_quiet(id);
        if let Some(tag) = tag {
            self.notices.push(Notice::Heartbeat(tag));
        }
    }

    /// One that is queued already is not asked again: behind all that was queued since, a slow reader would never see it.
    fn send_ping(&mut self, id: ConnId) {
        let topic = Topic::new(PING_TOPIC);
        let waits =
            self.conn(id).and_then(|conn| self.outbox(conn)).is_some_and(|outbox| outbox.waits(topic));
        let ping = self.ping.clone();
        if !waits && self.queue(id, &ping, Class::Ephemeral(Some(topic))) == Pushed::Queued {
            self.counters.count(Counter::PingsSent);
        }
    }

    /// When something is due next (uptime in ms); `None` when nothing ever is.
    pub fn next_deadline(&self) -> Option<u64> {
        let sign_in = self.sign_in_by.front().map(|d| d.0);
        let close = self.closed_by.front().map(|d| d.0);
        let sweep = (self.config.ping_interval > 0 && !self.conns.is_empty()).then(|| {
            let slots = u64::from(self.conns.high_water());
            self.sweep.since + self.sweep.wait(slots, self.config.ping_interval).max(SWEEP_TICK_MIN)
        });
        let head = self.next_head().map(|d| d.0);
        [sign_in, head, close, sweep, self.admission.again_at(), self.accepts_again_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Arms the ring's timer for the next deadline, the shard's own included, before a sleep; an earlier one that is
    /// armed is kept.
    pub fn arm_timer(&mut self, own: Option<u64>) {
        let Some(next) = self.next_deadline().into_iter().chain(own).min() else { return };
        match self.timer_at {
            Some(armed) if armed <= next => {}
            Some(_) => self.rings[0].stop_timer(),
            None => {
                self.timer_at = Some(next);
                self.rings[0].timer(next.saturating_sub(self.uptime).max(1));
            }
        }
    }
}

/// A burst's deadlines do not keep their memory for ever.
fn shrink(queue: &mut std::collections::VecDeque<(u64, ConnId)>) {
    if queue.is_empty() && queue.capacity() > 4096 {
        queue.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_is_pinged_once_per_interval_however_long_the_turns_are() {
        const INTERVAL: u64 = 25_000;
        for slots in [1, 7, 8, 1000, 25_000, 30_000, 101_000, 510_000] {
            for turns_per_ms in [1, 20] {
                let mut sweep = Sweep::default();
                let (mut pings, mut looks) = (vec![0u8; slots as usize], 0);
                for turn in 0..INTERVAL * turns_per_ms {
                    let due = sweep.due(slots, INTERVAL, 1 + turn / turns_per_ms);
                    looks += due;
                    for _ in 0..due {
                        let (index, is_due) = sweep.next(slots);
                        pings[index as usize] += u8::from(is_due);
                    }
                }
                let what = format!("{slots} slots, {turns_per_ms} turns a millisecond");
                assert_eq!(looks, slots * u64::from(LOOKS), "{what}");
                assert!(pings.iter().all(|pings| *pings == 1), "{what}");
            }
        }
    }
}
