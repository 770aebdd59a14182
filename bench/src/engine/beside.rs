//! Two drivers in one thread, each with connections of its own. Knows no socket.
use super::{After, ConnId, Driver, End, Io, Next};

/// The first driver has the connections below `split`, the second one the rest; each counts its own from 0.
#[derive(Debug)]
pub(crate) struct Beside<A, B> {
    pub(crate) first: A,
    pub(crate) second: B,
    split: ConnId,
}

impl<A: Driver, B: Driver> Beside<A, B> {
    pub(crate) fn new(first: A, split: ConnId, second: B) -> Self {
        Self { first, second, split }
    }

    fn second<T>(&mut self, io: &mut Io<'_>, work: impl FnOnce(&mut B, &mut Io<'_>) -> T) -> T {
        io.base += self.split;
        let done = work(&mut self.second, io);
        io.base -= self.split;
        done
    }
}

impl<A: Driver, B: Driver> Driver for Beside<A, B> {
    fn path(&self, conn: ConnId) -> Option<String> {
        match conn.checked_sub(self.split) {
            None => self.first.path(conn),
            Some(conn) => self.second.path(conn),
        }
    }

    fn user(&self, conn: ConnId) -> Option<String> {
        match conn.checked_sub(self.split) {
            None => self.first.user(conn),
            Some(conn) => self.second.user(conn),
        }
    }

    fn opened(&mut self, io: &mut Io<'_>, conn: ConnId) {
        match conn.checked_sub(self.split) {
            None => self.first.opened(io, conn),
            Some(conn) => self.second(io, |driver, io| driver.opened(io, conn)),
        }
    }

    fn message(&mut self, io: &mut Io<'_>, conn: ConnId, payload: &[u8], now: u64) {
        match conn.checked_sub(self.split) {
            None => self.first.message(io, conn, payload, now),
            Some(conn) => self.second(io, |driver, io| driver.message(io, conn, payload, now)),
        }
    }

    fn closed(&mut self, io: &mut Io<'_>, conn: ConnId, end: &End) -> After {
        match conn.checked_sub(self.split) {
            None => self.first.closed(io, conn, end),
            Some(conn) => self.second(io, |driver, io| driver.closed(io, conn, end)),
        }
    }

    fn turn(&mut self, io: &mut Io<'_>, now: u64) -> Next {
        let first = self.first.turn(io, now);
        let second = self.second(io, |driver, io| driver.turn(io, now));
        first.and(second)
    }
}
