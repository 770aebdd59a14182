//! Connections that the server told to come later, and when they do. Knows no socket.
use crate::limits::{TOLD_MAX, TOLD_SECONDS_MAX};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// Those of one thread; who was never told costs nothing here.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// When each is to come, in nanoseconds, and who.
    due: BinaryHeap<Reverse<(u64, u32)>>,
    /// How often each has been told.
    told: HashMap<u32, u8>,
}

impl Waits {
    /// One was told to come after so many seconds. Whether it does: not when it is too long, or was told too often.
    pub(super) fn tell(&mut self, at: u32, seconds: u64, now: u64) -> bool {
        let told = self.told.entry(at).or_default();
        if seconds > TOLD_SECONDS_MAX || *told >= TOLD_MAX {
            self.told.remove(&at);
            return false;
        }
        *told += 1;
        self.due.push(Reverse((now + seconds * 1_000_000_000, at)));
        true
    }

    /// The next one whose time has come.
    pub(super) fn next(&mut self, now: u64) -> Option<u32> {
        self.due.peek().filter(|Reverse((due, _))| *due <= now)?;
        self.due.pop().map(|Reverse((_, at))| at)
    }

    /// One was let in: should it come again it is told anew.
    pub(super) fn forget(&mut self, at: u32) {
        if !self.told.is_empty() {
            self.told.remove(&at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn each_waits_as_long_as_it_was_told_and_not_for_ever() {
        let mut waits = Waits::default();
        assert!(waits.tell(7, 3, 0) && waits.tell(8, 1, SECOND));
        assert_eq!(
            (waits.next(SECOND), waits.next(2 * SECOND), waits.next(2 * SECOND)),
            (None, Some(8), None)
        );
        assert_eq!(waits.next(3 * SECOND), Some(7));
        assert!(!waits.tell(9, TOLD_SECONDS_MAX + 1, 0), "nobody waits so long");
        let times = (0..).take_while(|_| waits.tell(7, 0, 0)).count();
        assert_eq!(times, usize::from(TOLD_MAX) - 1);
        assert!(waits.tell(8, 0, 0));
        waits.forget(8);
        assert_eq!((0..).take_while(|_| waits.tell(8, 0, 0)).count(), usize::from(TOLD_MAX));
    }
}
