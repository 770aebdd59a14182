//! What is queued for one connection, and what goes first when it is slow (design D7). Knows no ring.

use super::ring::{SendBuffer, SendKey};
use crate::frame::{Class, Frame};
use crate::limits::{COALESCE_MAX, FRAME_COST, OUTBOX_FRAMES_MAX};
use std::collections::VecDeque;

/// What became of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pushed {
    /// It is queued.
    Queued,
    /// It was ephemeral and there was no room.
    Dropped,
    /// Stored frames were dropped, maybe this one too: the session must be told to resync.
    Shed {
        /// How many.
        stored: u32,
    },
    /// It was shed before and has not caught up since: close it.
    TooSlow,
}

/// A send under way.
#[derive(Clone, Copy, Debug)]
pub struct InFlight {
    /// Its key in the ring.
    pub key: SendKey,
    /// How much of it was sent by earlier tries.
    pub offset: usize,
    /// How many frames it carries.
    pub frames: u32,
}

/// The queue of one connection that has something to send. Connections without have none.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<(Frame, Class)>,
    bytes: usize,
    /// The send under way.
    pub in_flight: Option<InFlight>,
    /// Stored frames were dropped since it was last empty.
    shed: bool,
}

impl Outbox {
    /// Bytes queued and what queueing them costs, not counting the send under way.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Queues a frame within `budget` bytes, or a larger one alone, dropping what may be dropped to make room.
    pub fn push(&mut self, frame: &Frame, class: Class, budget: usize) -> Pushed {
        if self.fits(frame, budget) {
            self.force(frame, class);
            return Pushed::Queued;
        }
        if class == Class::Ephemeral {
            return Pushed::Dropped;
        }
        self.drop_class(Class::Ephemeral);
        if self.fits(frame, budget) {
            self.force(frame, class);
            return Pushed::Queued;
        }
        if class == Class::Stored {
            if self.shed {
                return Pushed::TooSlow;
            }
            self.shed = true;
            return Pushed::Shed { stored: self.drop_class(Class::Stored) + 1 };
        }
        let stored = if self.shed { 0 } else { self.drop_class(Class::Stored) };
        // Answers under way when the connection was paused still come, and a page among them may be large.
        if !self.fits(frame, budget) && self.bytes > budget + budget / 2 {
            return Pushed::TooSlow;
        }
        self.force(frame, class);
        if stored == 0 {
            return Pushed::Queued;
        }
        self.shed = true;
        Pushed::Shed { stored }
    }

    /// Queues a frame whatever the budget: only for the few that tell a slow session what happens to it.
    pub fn force(&mut self, frame: &Frame, class: Class) {
        self.bytes += cost(frame);
        self.queue.push_back((frame.clone(), class));
    }

    /// Forgets what is queued.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.bytes = 0;
    }

    /// Takes what one send may carry: a single frame as it is, several copied into `spare`.
    pub fn take(&mut self, spare: impl FnOnce() -> Vec<u8>) -> Option<(SendBuffer, u32)> {
        let (first, _) = self.queue.pop_front()?;
        self.bytes -= cost(&first);
        let fits_behind = |size: usize, next: Option<&(Frame, Class)>| {
            next.is_some_and(|(frame, _)| size + frame.size() <= COALESCE_MAX)
        };
        if !fits_behind(first.size(), self.queue.front()) {
            return Some((SendBuffer::Frame(first), 1));
        }
        let mut bytes = spare();
        bytes.clear();
        bytes.extend_from_slice(first.bytes());
        let mut frames = 1;
        while fits_behind(bytes.len(), self.queue.front()) {
            if let Some((next, _)) = self.queue.pop_front() {
                self.bytes -= cost(&next);
                bytes.extend_from_slice(next.bytes());
                frames += 1;
            }
        }
        Some((SendBuffer::Copied(bytes), frames))
    }

    /// Makes it as new for its next connection; a queue that grew large gives its memory back.
    pub fn reset(&mut self) {
        debug_assert!(self.queue.is_empty() && self.in_flight.is_none(), "only an idle outbox is reused");
        self.shed = false;
        self.queue.shrink_to(64);
    }

    /// Whether everything was sent; a session that was shed has caught up then.
    pub fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_none()
    }

    /// A frame alone always fits: text and bytes grow when they are written as JSON, whatever the budget is.
    fn fits(&self, frame: &Frame, budget: usize) -> bool {
        self.queue.is_empty() || self.bytes + cost(frame) <= budget && self.queue.len() < OUTBOX_FRAMES_MAX
    }

    fn drop_class(&mut self, class: Class) -> u32 {
        let before = self.queue.len();
        let bytes = &mut self.bytes;
        self.queue.retain(|(frame, queued)| {
            let keep = *queued != class;
            if !keep {
                *bytes -= cost(frame);
            }
            keep
        });
        (before - self.queue.len()) as u32
    }
}

/// What a queued frame counts for.
pub(super) fn cost(frame: &Frame) -> usize {
    frame.size() + FRAME_COST
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For 1000 bytes in two frames.
    const BUDGET: usize = 1000 + 2 * FRAME_COST;

    fn frame(size: usize) -> Frame {
        Frame::new(&vec![b'x'; size])
    }

    #[test]
    fn ephemeral_goes_first_then_stored_then_the_session() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push(&frame(400), Class::Ephemeral, BUDGET), Pushed::Queued);
        assert_eq!(outbox.push(&frame(600), Class::Stored, BUDGET), Pushed::Queued);
        assert_eq!(outbox.push(&frame(100), Class::Ephemeral, BUDGET), Pushed::Dropped);
        assert_eq!(
            outbox.push(&frame(400), Class::Stored, BUDGET),
            Pushed::Queued,
            "the ephemeral one made room"
        );
        assert_eq!(outbox.push(&frame(100), Class::Stored, BUDGET), Pushed::Shed { stored: 3 });
        assert_eq!(outbox.bytes(), 0);
        assert_eq!(outbox.push(&frame(1000), Class::Reply, BUDGET), Pushed::Queued);
        assert_eq!(outbox.push(&frame(100), Class::Stored, BUDGET), Pushed::TooSlow);
    }

    #[test]
    fn replies_are_never_dropped_silently() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push(&frame(900), Class::Reply, BUDGET), Pushed::Queued);
        assert_eq!(outbox.push(&frame(900), Class::Reply, BUDGET), Pushed::Queued, "it was under way");
        assert_eq!(outbox.push(&frame(900), Class::Reply, BUDGET), Pushed::TooSlow);
        assert_eq!(outbox.bytes(), 2 * cost(&frame(900)));
    }

    #[test]
    fn a_frame_over_the_budget_goes_alone() {
        for class in [Class::Ephemeral, Class::Stored, Class::Reply] {
            let mut outbox = Outbox::default();
            assert_eq!(outbox.push(&frame(6000), class, BUDGET), Pushed::Queued);
            assert_eq!(outbox.push(&frame(10), Class::Ephemeral, BUDGET), Pushed::Dropped);
        }
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push(&frame(10), Class::Stored, BUDGET), Pushed::Queued);
        assert_eq!(outbox.push(&frame(6000), Class::Stored, BUDGET), Pushed::Shed { stored: 2 });
        assert_eq!(outbox.push(&frame(6000), Class::Reply, BUDGET), Pushed::Queued, "the history of it");
    }

    #[test]
    fn several_frames_share_a_send_and_a_large_one_is_not_copied() {
        let mut outbox = Outbox::default();
        (0..3).for_each(|_| outbox.force(&frame(10), Class::Stored));
        outbox.force(&frame(COALESCE_MAX + 1), Class::Stored);
        let (first, frames) = outbox.take(Vec::new).unwrap();
        assert_eq!((first.bytes().len(), frames), (30, 3));
        let (second, frames) = outbox.take(Vec::new).unwrap();
        assert!(matches!(second, SendBuffer::Frame(_)) && frames == 1);
        assert!(outbox.take(Vec::new).is_none() && outbox.bytes() == 0);
    }
}
