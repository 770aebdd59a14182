//! Time for connections: sign-in and close deadlines, and the heartbeat as a cursor that sweeps the slab.

use super::{Notice, Plane, State};
use crate::ids::ConnId;
use crate::metrics::Counter;
use crate::wire::CloseCode;

/// Slots swept in one turn at most (number): a sweep that is late catches up over several turns.
const SWEEP_SLICE: u32 = 1024;
/// The sweep does not wake an idle shard more often than this (ms).
const SWEEP_TICK_MIN: u64 = 20;

/// Where the heartbeat is: every slot is visited once per interval, evenly over it.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    cursor: u32,
    /// Uptime up to which slots were visited.
    since: u64,
}

impl Plane {
    /// Does what is due; part of each turn.
    pub fn tick(&mut self, uptime: u64) {
        self.uptime = uptime;
        while let Some(&(at, id)) = self.sign_in_by.front() {
            if at > uptime {
                break;
            }
            self.sign_in_by.pop_front();
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
        shrink(&mut self.sign_in_by);
        shrink(&mut self.closed_by);
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

    /// Visits as many slots as the time since the last visit asks for.
    fn sweep(&mut self) {
        let slots = u64::from(self.conns.high_water());
        let interval = self.config.ping_interval;
        let elapsed = self.uptime.saturating_sub(self.sweep.since).min(interval);
        let due = slots * elapsed / interval;
        if due == 0 {
            if slots == 0 {
                self.sweep.since = self.uptime;
            }
            return;
        }
        let visits = due.min(u64::from(SWEEP_SLICE));
        // Time is advanced by what the visits stand for, so that nothing is lost to rounding.
        self.sweep.since =
            if due == slots { self.uptime } else { self.sweep.since + visits * interval / slots };
        for _ in 0..visits {
            let index = self.sweep.cursor;
            self.sweep.cursor = if u64::from(index) + 1 >= slots { 0 } else { index + 1 };
            self.visit(index);
        }
    }

    fn visit(&mut self, index: u32) {
        let interval = self.config.ping_interval;
        let Some((key, conn)) = self.conns.at(index) else { return };
        let id = ConnId::from(key);
        if !matches!(conn.state, State::Open | State::Live)
            || (conn.state == State::Open && self.config.sign_in)
        {
            return;
        }
        let tag = conn.tag;
        if conn.silent_for(self.uptime) > 2 * interval {
            return self.close(id, CloseCode::NoPong, "no sign of life for two heartbeats");
        }
        let ping = self.ping.clone();
        self.counters.count(Counter::PingsSent);
        self.send(id, &ping, crate::frame::Class::Ephemeral);
        if let Some(tag) = tag {
            self.notices.push(Notice::Heartbeat(tag));
        }
    }

    /// When something is due next (uptime in ms); `None` when nothing ever is.
    pub fn next_deadline(&self) -> Option<u64> {
        let sign_in = self.sign_in_by.front().map(|d| d.0);
        let close = self.closed_by.front().map(|d| d.0);
        let sweep = (self.config.ping_interval > 0 && !self.conns.is_empty()).then(|| {
            let each = self.config.ping_interval / u64::from(self.conns.high_water()).max(1);
            self.sweep.since + each.max(SWEEP_TICK_MIN)
        });
        [sign_in, close, sweep].into_iter().flatten().min()
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
