//! Users who read for a while, and then nothing for a while. Knows no message and no socket.
use crate::engine::{ConnId, Io, Next};
use fastrand::Rng;
use std::collections::VecDeque;

/// The slow readers of one thread.
#[derive(Debug)]
pub(super) struct Slow {
    /// By connection.
    is_slow: Vec<bool>,
    /// When each is to be turned to the other: nanoseconds, connection. Both halves last equally long for all, so what
    /// is appended is never due before what is there already.
    to_pause: VecDeque<(u64, ConnId)>,
    to_read: VecDeque<(u64, ConnId)>,
    pause: u64,
    read: u64,
    members: Vec<ConnId>,
    gone: Vec<bool>,
}

impl Slow {
    /// `share` of `count` connections, chosen at random.
    pub(super) fn new(count: usize, share: f64, (pause, read): (u64, u64), rng: &mut Rng) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a part of `count`
        let slow = (count as f64 * share).round() as usize;
        let mut all: Vec<ConnId> = (0..count).collect();
        rng.shuffle(&mut all);
        all.truncate(slow);
        let mut is_slow = vec![false; count];
        all.iter().for_each(|&conn| is_slow[conn] = true);
        Self {
            is_slow,
            to_pause: VecDeque::new(),
            to_read: VecDeque::new(),
            pause,
            read,
            members: all,
            gone: vec![false; count],
        }
    }

    pub(super) fn is(&self, conn: ConnId) -> bool {
        self.is_slow[conn]
    }

    pub(super) fn count(&self) -> usize {
        self.members.len()
    }

    /// The server has closed it.
    pub(super) fn leave(&mut self, conn: ConnId) {
        self.gone[conn] = true;
    }

    pub(super) fn gone(&self, conn: ConnId) -> bool {
        self.gone[conn]
    }

    /// Their first pauses begin spread over one whole turn.
    pub(super) fn begin(&mut self, start: u64) {
        let turn = self.pause + self.read;
        let count = self.members.len().max(1) as u64;
        self.to_pause
            .extend(self.members.iter().zip(0..).map(|(&conn, at)| (start + turn * at / count, conn)));
    }

    /// Turns those whose time has come.
    pub(super) fn turn(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        while let Some((_, conn)) = self.to_pause.pop_front_if(|(due, _)| *due <= now) {
            if !self.gone[conn] {
                io.pause(conn);
                self.to_read.push_back((now + self.pause, conn));
            }
        }
        while let Some((_, conn)) = self.to_read.pop_front_if(|(due, _)| *due <= now) {
            if !self.gone[conn] {
                io.resume(conn);
                self.to_pause.push_back((now + self.read, conn));
            }
        }
        let due =
            |queue: &VecDeque<(u64, ConnId)>| queue.front().map_or(Next::Event, |(due, _)| Next::At(*due));
        due(&self.to_pause).and(due(&self.to_read))
    }

    /// All read again, until the end.
    pub(super) fn end(&mut self, io: &mut Io<'_>) {
        self.to_pause.clear();
        for (_, conn) in self.to_read.drain(..).filter(|(_, conn)| !self.gone[*conn]) {
            io.resume(conn);
        }
    }
}
