//! Acks of the messages that one thread's connections write: which have come, and how long each took. Knows no frame and no socket.
use crate::engine::ConnId;
use crate::latency::Latency;
use crate::ledger::{Faults, Stream};
use crate::limits::UNACKED_MAX;
use std::collections::VecDeque;

/// A time that is not waited for any more.
const TAKEN: u64 = u64::MAX;

/// Nothing where no acks are asked for.
#[derive(Default)]
pub(super) struct Acks {
    /// The number of the first writer.
    first: usize,
    /// By number from there on.
    writers: Vec<Writer>,
    /// Of acks to messages that were meant for the measured time, from when each was meant to leave.
    pub(super) latency: Latency,
    /// When the last one came in the measured time, and the longest time without any.
    last: u64,
    pub(super) gap: u64,
}

/// Who writes under one number.
struct Writer {
    /// The connection, if it is one of this thread.
    conn: Option<ConnId>,
    acked: Stream,
    /// When its messages were meant to leave, from the first one without an ack on.
    asked: VecDeque<u64>,
    /// The count of that message.
    base: u32,
}

impl Acks {
    /// Expects acks: `writers` says which connection writes under each number from `first` on, if one of this thread does.
    pub(super) fn new(first: usize, writers: impl Iterator<Item = Option<ConnId>>) -> Self {
        let writer = |conn| Writer { conn, acked: Stream::default(), asked: VecDeque::new(), base: 0 };
        Self { first, writers: writers.map(writer).collect(), ..Self::default() }
    }

    /// A message leaves under this number, the next of its writer's, that was meant to leave at `time`.
    pub(super) fn asked(&mut self, sender: usize, time: u64) {
        let Some(writer) = sender.checked_sub(self.first).and_then(|at| self.writers.get_mut(at)) else {
            return;
        };
        if writer.asked.len() >= UNACKED_MAX {
            // How long its ack takes is not told then; that it came is.
            writer.asked.pop_front();
            writer.base = writer.base.wrapping_add(1);
        }
        writer.asked.push_back(time);
    }

    /// Books an ack that came over `conn`. Whether it is the message's first one, and when that was meant to leave.
    pub(super) fn came(
        &mut self,
        conn: ConnId,
        (sender, seq): (u32, u32),
        faults: &mut Faults,
    ) -> (bool, Option<u64>) {
        let writer = (sender as usize).checked_sub(self.first).and_then(|at| self.writers.get_mut(at));
        let Some(writer) = writer.filter(|writer| writer.conn == Some(conn)) else {
            faults.misdelivered += 1;
            return (false, None);
        };
        let mut all = Faults::default();
        let new = writer.acked.arrived(seq, &mut all);
        faults.duplicated += all.duplicated;
        (new, writer.take(seq).filter(|_| new))
    }

    /// An ack of the measured time came.
    pub(super) fn measured(&mut self, meant: u64, now: u64) {
        self.latency.record(now.saturating_sub(meant));
        if self.last > 0 {
            self.gap = self.gap.max(now.saturating_sub(self.last));
        }
        self.last = now;
    }
}

impl Writer {
    /// When the message with this count was meant to leave; to be asked once.
    fn take(&mut self, seq: u32) -> Option<u64> {
        let place = self.asked.get_mut(seq.checked_sub(self.base)? as usize)?;
        let time = std::mem::replace(place, TAKEN);
        while self.asked.front() == Some(&TAKEN) {
            self.asked.pop_front();
            self.base += 1;
        }
        Some(time).filter(|time| *time != TAKEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ack_is_timed_once_whatever_their_order() {
        let mut acks = Acks::new(4, [Some(0), None, Some(7)].into_iter());
        let mut faults = Faults::default();
        (0..3).for_each(|seq| acks.asked(6, 100 + seq));
        assert_eq!(acks.came(7, (6, 1), &mut faults), (true, Some(101)));
        assert_eq!(acks.came(7, (6, 0), &mut faults), (true, Some(100)));
        assert_eq!(acks.came(7, (6, 1), &mut faults), (false, None));
        assert_eq!(acks.came(7, (6, 2), &mut faults), (true, Some(102)));
        assert!(acks.writers[2].asked.is_empty(), "what is acked is forgotten");
        assert_eq!(faults, Faults { duplicated: 1, ..Faults::default() });
        for (conn, sender) in [(7, 4), (0, 5), (0, 3), (0, 99)] {
            assert_eq!(acks.came(conn, (sender, 0), &mut faults), (false, None));
        }
        assert_eq!(faults.misdelivered, 4);
    }

    #[test]
    fn the_longest_time_without_an_ack_is_kept() {
        let mut acks = Acks::default();
        for now in [10, 12, 30, 31] {
            acks.measured(9, now);
        }
        assert_eq!((acks.gap, acks.latency.count()), (18, 4));
    }
}
