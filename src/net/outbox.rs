//! What is queued for one connection, and what goes first when it is slow (design D7). Knows no ring.

use super::ring::{SendBuffer, SendKey, Vectored};
use crate::frame::{Class, Frame, Topic};
use crate::ids::ConnId;
use crate::limits::{
    COALESCE_MAX, FRAME_COST, OUTBOX_EPHEMERAL_MAX, OUTBOX_FRAMES_MAX, SCRATCH_KEPT, VECTORED_FRAMES,
    VECTORED_MIN,
};
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

/// Ephemeral frames that went, for the counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lost {
    /// Because there was no room.
    pub ephemeral: u32,
    /// Because a newer one of the same topic was queued.
    pub outdated: u32,
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
    /// What it takes until the kernel has taken all of it (bytes).
    pub memory: usize,
    /// The turn that it began in.
    pub turn: u32,
}

/// Send buffers kept for reuse (number, of each kind); a copy may have grown to [`SCRATCH_KEPT`].
const SPARES_MAX: usize = 64;

/// Send buffers whose sends have ended.
#[derive(Debug, Default)]
pub struct Spares {
    copied: Vec<Vec<u8>>,
    #[allow(clippy::vec_box)] // they go into sends as they are, and the kernel knows where they lie
    vectored: Vec<Box<Vectored>>,
}

impl Spares {
    /// A buffer to copy into.
    pub fn copy(&mut self) -> Vec<u8> {
        self.copied.pop().unwrap_or_default()
    }

    /// Takes a buffer back, unless it has grown large: a large frame is copied to be encrypted.
    pub fn put(&mut self, buffer: SendBuffer) {
        match buffer {
            SendBuffer::Frame(_) => {}
            SendBuffer::Copied(bytes)
                if self.copied.len() < SPARES_MAX && bytes.capacity() <= SCRATCH_KEPT =>
            {
                self.copied.push(bytes);
            }
            SendBuffer::Vectored(mut frames) if self.vectored.len() < SPARES_MAX => {
                frames.clear();
                self.vectored.push(frames);
            }
            SendBuffer::Copied(_) | SendBuffer::Vectored(_) => {}
        }
    }
}

/// A stored frame or an answer.
#[derive(Debug)]
struct Queued {
    frame: Frame,
    place: u32,
    stored: bool,
}

/// An ephemeral frame.
#[derive(Debug)]
struct Passing {
    frame: Frame,
    place: u32,
    topic: Option<Topic>,
}

/// The queue of one connection that has something to send. Connections without have none.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Whose it is.
    pub owner: Option<ConnId>,
    queue: VecDeque<Queued>,
    /// Apart from what may not be lost: few, so that a newer one finds the older of its topic.
    passing: VecDeque<Passing>,
    /// The next frame's place among both.
    place: u32,
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

    /// Its part of the memory that is queued, and what queueing takes: frames of many receivers are there once. Looks at
    /// each of them.
    pub fn share(&self) -> usize {
        let frames = self.queue.iter().map(|queued| &queued.frame);
        frames.chain(self.passing.iter().map(|passing| &passing.frame)).map(|f| f.share() + FRAME_COST).sum()
    }

    /// Whether an ephemeral frame of a topic is queued.
    pub fn waits(&self, topic: Topic) -> bool {
        self.passing.iter().any(|passing| passing.topic == Some(topic))
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.passing.is_empty()
    }

    /// Queues a frame within `budget` bytes, or a larger one alone, dropping what may be dropped to make room.
    pub fn push(&mut self, frame: &Frame, class: Class, budget: usize, lost: &mut Lost) -> Pushed {
        if let Class::Ephemeral(topic) = class {
            return self.push_passing(frame, topic, budget, lost);
        }
        if self.fits(frame, budget) {
            self.force(frame, class);
            return Pushed::Queued;
        }
        lost.ephemeral += self.drop_passing();
        if self.fits(frame, budget) {
            self.force(frame, class);
            return Pushed::Queued;
        }
        if class == Class::Stored {
            if self.shed {
                return Pushed::TooSlow;
            }
            self.shed = true;
            return Pushed::Shed { stored: self.drop_stored() + 1 };
        }
        let stored = if self.shed { 0 } else { self.drop_stored() };
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

    /// The latest wins: over an older one of its topic, and where there is no room over the oldest. It does not take the
    /// older one's place, but comes after all that it came after: whoever types after a message does not do so before it.
    fn push_passing(
        &mut self,
        frame: &Frame,
        topic: Option<Topic>,
        budget: usize,
        lost: &mut Lost,
    ) -> Pushed {
        let older =
            topic.and_then(|topic| self.passing.iter().position(|passing| passing.topic == Some(topic)));
        if let Some(older) = older.and_then(|at| self.passing.remove(at)) {
            self.bytes -= cost(&older.frame);
            lost.outdated += 1;
        }
        while self.passing.len() >= OUTBOX_EPHEMERAL_MAX || !self.fits(frame, budget) {
            lost.ephemeral += 1;
            let Some(oldest) = self.passing.pop_front() else { return Pushed::Dropped };
            self.bytes -= cost(&oldest.frame);
        }
        self.force(frame, Class::Ephemeral(topic));
        Pushed::Queued
    }

    /// Queues a frame whatever the budget: only for the few that tell a slow session what happens to it.
    pub fn force(&mut self, frame: &Frame, class: Class) {
        self.bytes += cost(frame);
        let (frame, place) = (frame.clone(), self.place);
        self.place = place.wrapping_add(1);
        match class {
            Class::Ephemeral(topic) => self.passing.push_back(Passing { frame, place, topic }),
            Class::Stored => self.queue.push_back(Queued { frame, place, stored: true }),
            Class::Reply | Class::Told => self.queue.push_back(Queued { frame, place, stored: false }),
        }
    }

    /// Drops what is not lost with it, so that others have room: `Shed` if stored frames went, `Dropped` if ephemeral ones
    /// did, `TooSlow` if nothing more can go, or the session was told before and has not caught up since.
    pub fn shed(&mut self, lost: &mut Lost) -> Pushed {
        let dropped = self.drop_passing();
        lost.ephemeral += dropped;
        let stored = if self.shed { 0 } else { self.drop_stored() };
        match (stored, dropped) {
            (0, 0) => Pushed::TooSlow,
            (0, _) => Pushed::Dropped,
            _ => {
                self.shed = true;
                Pushed::Shed { stored }
            }
        }
    }

    /// Forgets what is queued.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.passing.clear();
        self.bytes = 0;
    }

    /// Takes all that is queued, in its order.
    pub fn drain(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.pop()).collect()
    }

    /// Takes what one send may carry: a single frame as it is, several copied together or, if they are large, by name.
    pub fn take(&mut self, spares: &mut Spares) -> Option<(SendBuffer, u32)> {
        let first = self.pop()?;
        if !self.fits_behind(first.size()) {
            return Some((SendBuffer::Frame(first), 1));
        }
        if first.size() >= VECTORED_MIN {
            return Some(self.take_vectored(first, spares));
        }
        let mut bytes = spares.copied.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(first.bytes());
        let mut frames = 1;
        while self.fits_behind(bytes.len())
            && let Some(next) = self.pop()
        {
            bytes.extend_from_slice(next.bytes());
            frames += 1;
        }
        Some((SendBuffer::Copied(bytes), frames))
    }

    fn take_vectored(&mut self, first: Frame, spares: &mut Spares) -> (SendBuffer, u32) {
        let mut frames = spares.vectored.pop().unwrap_or_default();
        frames.push(first);
        while frames.frames() < VECTORED_FRAMES
            && self.fits_behind(frames.size())
            && let Some(next) = self.pop()
        {
            frames.push(next);
        }
        let count = frames.frames() as u32;
        (SendBuffer::Vectored(frames), count)
    }

    /// As [`Outbox::take`], for who sends something made of the bytes: appends them to `bytes` and tells of how many frames.
    pub fn take_bytes(&mut self, bytes: &mut Vec<u8>) -> u32 {
        let mut frames = 0;
        let start = bytes.len();
        while (frames == 0 || self.fits_behind(bytes.len() - start))
            && let Some(next) = self.pop()
        {
            bytes.extend_from_slice(next.bytes());
            frames += 1;
        }
        frames
    }

    /// Whether the next frame goes into one send with `size` bytes before it.
    #[inline]
    fn fits_behind(&self, size: usize) -> bool {
        self.next().is_some_and(|frame| size + frame.size() <= COALESCE_MAX)
    }

    /// Whether the next frame is an ephemeral one.
    #[inline]
    fn passing_is_next(&self) -> bool {
        self.passing.front().is_some_and(|passing| {
            // Places wrap around; both are within a queue's length of each other.
            self.queue.front().is_none_or(|queued| passing.place.wrapping_sub(queued.place) > u32::MAX / 2)
        })
    }

    #[inline]
    fn next(&self) -> Option<&Frame> {
        if self.passing_is_next() {
            return self.passing.front().map(|passing| &passing.frame);
        }
        self.queue.front().map(|queued| &queued.frame)
    }

    #[inline]
    fn pop(&mut self) -> Option<Frame> {
        let frame = if self.passing_is_next() {
            self.passing.pop_front()?.frame
        } else {
            self.queue.pop_front()?.frame
        };
        self.bytes -= cost(&frame);
        Some(frame)
    }

    /// Makes it as new for its next connection; a queue that grew large gives its memory back.
    pub fn reset(&mut self) {
        debug_assert!(self.is_empty() && self.in_flight.is_none(), "only an idle outbox is reused");
        self.owner = None;
        self.shed = false;
        self.queue.shrink_to(64);
        self.passing.shrink_to(8);
    }

    /// Whether everything was sent; a session that was shed has caught up then.
    pub fn is_drained(&self) -> bool {
        self.is_empty() && self.in_flight.is_none()
    }

    /// A frame alone always fits: text and bytes grow when they are written as JSON, whatever the budget is.
    fn fits(&self, frame: &Frame, budget: usize) -> bool {
        self.is_empty()
            || self.bytes + cost(frame) <= budget && self.queue.len() + self.passing.len() < OUTBOX_FRAMES_MAX
    }

    fn drop_passing(&mut self) -> u32 {
        let dropped = self.passing.len() as u32;
        self.bytes -= self.passing.drain(..).map(|passing| cost(&passing.frame)).sum::<usize>();
        dropped
    }

    fn drop_stored(&mut self) -> u32 {
        let before = self.queue.len();
        let bytes = &mut self.bytes;
        self.queue.retain(|queued| {
            if queued.stored {
                *bytes -= cost(&queued.frame);
            }
            !queued.stored
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
    const EPHEMERAL: Class = Class::Ephemeral(None);

    fn frame(size: usize) -> Frame {
        Frame::new(&vec![b'x'; size])
    }

    /// Pushes and tells what became of it, and what was lost.
    fn push(outbox: &mut Outbox, size: usize, class: Class) -> (Pushed, Lost) {
        let mut lost = Lost::default();
        (outbox.push(&frame(size), class, BUDGET, &mut lost), lost)
    }

    fn pushed(outbox: &mut Outbox, size: usize, class: Class) -> Pushed {
        push(outbox, size, class).0
    }

    /// The sizes of all frames, as they would be sent.
    fn sizes(outbox: &mut Outbox) -> Vec<usize> {
        std::iter::from_fn(|| outbox.pop()).map(|frame| frame.size()).collect()
    }

    #[test]
    fn ephemeral_goes_first_then_stored_then_the_session() {
        let mut outbox = Outbox::default();
        assert_eq!(pushed(&mut outbox, 600, Class::Stored), Pushed::Queued);
        assert_eq!(pushed(&mut outbox, 400, EPHEMERAL), Pushed::Queued);
        let lost = Lost { ephemeral: 1, outdated: 0 };
        assert_eq!(push(&mut outbox, 100, EPHEMERAL), (Pushed::Queued, lost), "the older one made room");
        assert_eq!(
            push(&mut outbox, 400, Class::Stored),
            (Pushed::Queued, lost),
            "an ephemeral one made room"
        );
        assert_eq!(push(&mut outbox, 100, EPHEMERAL), (Pushed::Dropped, lost));
        assert_eq!(pushed(&mut outbox, 100, Class::Stored), Pushed::Shed { stored: 3 });
        assert_eq!(outbox.bytes(), 0);
        assert_eq!(pushed(&mut outbox, 1000, Class::Reply), Pushed::Queued);
        assert_eq!(pushed(&mut outbox, 100, Class::Stored), Pushed::TooSlow);
    }

    #[test]
    fn replies_are_never_dropped_silently() {
        let mut outbox = Outbox::default();
        assert_eq!(pushed(&mut outbox, 900, Class::Reply), Pushed::Queued);
        assert_eq!(pushed(&mut outbox, 900, Class::Reply), Pushed::Queued, "it was under way");
        assert_eq!(pushed(&mut outbox, 900, Class::Reply), Pushed::TooSlow);
        assert_eq!(outbox.bytes(), 2 * cost(&frame(900)));
    }

    #[test]
    fn the_newer_of_a_topic_replaces_the_older_and_keeps_its_own_place() {
        let mut outbox = Outbox::default();
        let [a, b] = [1 << 8, 2 << 8].map(|hash| Class::Ephemeral(Some(Topic::new(hash))));
        for (size, class, outdated) in [
            (10, a, 0),
            (20, Class::Stored, 0),
            (11, b, 0),
            (12, EPHEMERAL, 0),
            (13, a, 1),
            (21, Class::Reply, 0),
            (14, a, 1),
            (15, EPHEMERAL, 0),
        ] {
            assert_eq!(push(&mut outbox, size, class), (Pushed::Queued, Lost { ephemeral: 0, outdated }));
        }
        assert_eq!(sizes(&mut outbox), [20, 11, 12, 21, 14, 15]);
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn places_wrap_around() {
        let mut outbox = Outbox { place: u32::MAX - 1, ..Outbox::default() };
        for n in 1..4 {
            outbox.force(&frame(2 * n), Class::Stored);
            outbox.force(&frame(2 * n + 1), EPHEMERAL);
        }
        assert_eq!(sizes(&mut outbox), [2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn ephemeral_frames_are_bounded_in_number() {
        let mut outbox = Outbox::default();
        let mut lost = Lost::default();
        for n in 0..2 * OUTBOX_EPHEMERAL_MAX {
            assert_eq!(outbox.push(&frame(n), EPHEMERAL, usize::MAX, &mut lost), Pushed::Queued);
        }
        assert_eq!(lost.ephemeral as usize, OUTBOX_EPHEMERAL_MAX);
        let kept: Vec<usize> = (OUTBOX_EPHEMERAL_MAX..2 * OUTBOX_EPHEMERAL_MAX).collect();
        assert_eq!(sizes(&mut outbox), kept, "the latest");
    }

    #[test]
    fn it_makes_room_for_others_once_and_is_too_slow_then() {
        let (mut outbox, mut lost) = (Outbox::default(), Lost::default());
        outbox.force(&frame(10), EPHEMERAL);
        assert_eq!(outbox.shed(&mut lost), Pushed::Dropped);
        outbox.force(&frame(20), Class::Stored);
        outbox.force(&frame(30), Class::Reply);
        assert_eq!(outbox.shed(&mut lost), Pushed::Shed { stored: 1 });
        assert_eq!(outbox.bytes(), cost(&frame(30)));
        outbox.force(&frame(20), Class::Stored);
        assert_eq!(outbox.shed(&mut lost), Pushed::TooSlow);
        assert_eq!(lost, Lost { ephemeral: 1, outdated: 0 });
    }

    #[test]
    fn a_frame_over_the_budget_goes_alone() {
        for class in [EPHEMERAL, Class::Stored, Class::Reply] {
            let mut outbox = Outbox::default();
            assert_eq!(pushed(&mut outbox, 6000, class), Pushed::Queued);
        }
        let mut outbox = Outbox::default();
        assert_eq!(pushed(&mut outbox, 10, Class::Stored), Pushed::Queued);
        assert_eq!(pushed(&mut outbox, 6000, EPHEMERAL), Pushed::Dropped);
        assert_eq!(pushed(&mut outbox, 6000, Class::Stored), Pushed::Shed { stored: 2 });
        assert_eq!(pushed(&mut outbox, 6000, Class::Reply), Pushed::Queued, "the history of it");
    }

    #[test]
    fn several_frames_share_a_send_and_large_ones_are_not_copied() {
        let (mut outbox, mut spares) = (Outbox::default(), Spares::default());
        (0..3).for_each(|_| outbox.force(&frame(10), Class::Stored));
        outbox.force(&frame(COALESCE_MAX + 1), Class::Stored);
        (0..VECTORED_FRAMES).for_each(|_| outbox.force(&frame(VECTORED_MIN), Class::Stored));
        let (first, frames) = outbox.take(&mut spares).unwrap();
        assert_eq!((first.size(), frames), (30, 3));
        assert!(matches!(first, SendBuffer::Copied(_)));
        let (second, frames) = outbox.take(&mut spares).unwrap();
        assert!(matches!(second, SendBuffer::Frame(_)) && frames == 1);
        let mut left = VECTORED_FRAMES;
        while left > 0 {
            let (next, frames) = outbox.take(&mut spares).unwrap();
            assert!(matches!(next, SendBuffer::Vectored(_)) && next.size() <= COALESCE_MAX);
            assert_eq!(next.size(), frames as usize * VECTORED_MIN);
            left -= frames as usize;
            spares.put(next);
        }
        assert!(outbox.take(&mut spares).is_none() && outbox.bytes() == 0);
        outbox.force(&frame(VECTORED_MIN), Class::Stored);
        (0..2 * VECTORED_FRAMES).for_each(|_| outbox.force(&frame(1), Class::Stored));
        assert_eq!(outbox.take(&mut spares).unwrap().1 as usize, VECTORED_FRAMES);
    }
}
