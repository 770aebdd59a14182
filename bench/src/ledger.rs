//! Which messages of a sender arrived, in which order. Knows no bytes and no socket.
use crate::limits::MISSING_MAX;
use serde::{Deserialize, Serialize};

/// What one receiver has seen of one sender.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    next: u32,
    received: u32,
    /// Counts below `next` that have not come (yet).
    missing: Vec<u32>,
}

/// What went wrong, over many streams.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Faults {
    /// Sent and never delivered.
    pub(crate) lost: u64,
    /// Delivered more than once, or acked more than once.
    pub(crate) duplicated: u64,
    /// Delivered after a later one.
    pub(crate) reordered: u64,
    /// Delivered to the wrong receiver, or acked to who did not send it; also what was sent in another run.
    pub(crate) misdelivered: u64,
    /// Delivered with another payload than the one sent, which counts as lost itself.
    #[serde(default)]
    pub(crate) corrupted: u64,
    /// Sent with an `id` and never acked.
    pub(crate) unacked: u64,
}

impl Faults {
    /// Whether nothing went wrong.
    pub(crate) fn none(&self) -> bool {
        *self == Self::default()
    }

    /// Adds another's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.misdelivered += other.misdelivered;
        self.corrupted += other.corrupted;
        self.unacked += other.unacked;
    }
}

impl Stream {
    /// Books one arrival; true when it is new.
    pub(crate) fn arrived(&mut self, seq: u32, faults: &mut Faults) -> bool {
        if seq == self.next {
            self.next = seq.saturating_add(1);
        } else if seq > self.next {
            // Past the bound the count of lost ones stays right; only a late one is then called a duplicate.
            let room = MISSING_MAX.saturating_sub(self.missing.len());
            self.missing.extend((self.next..seq).take(room));
            self.next = seq.saturating_add(1);
        } else if let Some(at) = self.missing.iter().position(|&missing| missing == seq) {
            self.missing.swap_remove(at);
            faults.reordered += 1;
        } else {
            faults.duplicated += 1;
            return false;
        }
        self.received += 1;
        true
    }

    /// Closes the stream: what was sent and has not come is lost.
    pub(crate) fn close(&self, sent: u32, faults: &mut Faults) {
        faults.lost += u64::from(sent.saturating_sub(self.received));
    }

    /// Closes the stream of a sender whose connection was ended: what is missing before the last that came is lost; how
    /// much was sent after it, and may never have left, is told apart.
    pub(crate) fn close_cut(&self, sent: u32, faults: &mut Faults) -> u64 {
        self.close(sent.min(self.next), faults);
        u64::from(sent.saturating_sub(self.next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn booked(arrivals: &[u32], sent: u32) -> Faults {
        let (mut stream, mut faults) = (Stream::default(), Faults::default());
        for &seq in arrivals {
            stream.arrived(seq, &mut faults);
        }
        stream.close(sent, &mut faults);
        faults
    }

    #[test]
    fn a_whole_run_has_no_faults() {
        assert!(booked(&[0, 1, 2, 3], 4).none());
    }

    #[test]
    fn a_drop_is_found_in_the_middle_and_at_the_end() {
        assert_eq!(booked(&[0, 2, 3], 4), Faults { lost: 1, ..Faults::default() });
        assert_eq!(booked(&[0, 1], 4), Faults { lost: 2, ..Faults::default() });
    }

    #[test]
    fn a_duplicate_is_found() {
        assert_eq!(booked(&[0, 1, 1, 0, 2], 3), Faults { duplicated: 2, ..Faults::default() });
    }

    #[test]
    fn a_swap_is_reordering_and_no_loss() {
        assert_eq!(booked(&[0, 2, 1, 3], 4), Faults { reordered: 1, ..Faults::default() });
    }

    #[test]
    fn a_late_one_comes_once_only() {
        let faults = booked(&[0, 2, 1, 1], 3);
        assert_eq!(faults, Faults { reordered: 1, duplicated: 1, ..Faults::default() });
    }

    #[test]
    fn what_a_cut_sender_had_on_its_way_is_not_lost_but_a_gap_is() {
        let (mut stream, mut faults) = (Stream::default(), Faults::default());
        for seq in [0, 1, 3] {
            stream.arrived(seq, &mut faults);
        }
        assert_eq!(stream.close_cut(9, &mut faults), 5);
        assert_eq!(faults, Faults { lost: 1, ..Faults::default() });
    }

    #[test]
    fn losses_past_the_bound_are_still_counted() {
        let sent = u32::try_from(MISSING_MAX).unwrap() * 3;
        assert_eq!(booked(&[0, sent - 1], sent).lost, u64::from(sent) - 2);
    }

    /// The same by the words of [`Faults`], with everything that ever came kept.
    fn model(arrivals: &[u32], sent: u32) -> Faults {
        let (mut seen, mut faults) = (HashSet::new(), Faults::default());
        for &seq in arrivals {
            let late = seen.iter().any(|&other| other > seq);
            if !seen.insert(seq) {
                faults.duplicated += 1;
            } else if late {
                faults.reordered += 1;
            }
        }
        faults.lost = (0..sent).filter(|seq| !seen.contains(seq)).count() as u64;
        faults
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Any messages, in any order, any number of times.
        #[test]
        fn whatever_comes_is_booked_as_the_model_does(arrivals in prop::collection::vec(0_u32..40, 0..120)) {
            prop_assert_eq!(booked(&arrivals, 40), model(&arrivals, 40));
        }

        /// A long stream as a bad network makes it: each message dropped, doubled or late, now and then.
        #[test]
        fn a_long_stream_is_booked_as_the_model_does(
            fates in prop::collection::vec(prop_oneof![20 => Just((1, 0)), 1 => Just((0, 0)), 1 => Just((2, 30)), 1 => (Just(1), 1_u32..50)], 1..600)
        ) {
            // Each copy's place: its own number, moved back by its lateness.
            let mut copies: Vec<(u32, u32)> = Vec::new();
            for (seq, &(times, late)) in (0_u32..).zip(&fates) {
                copies.extend((0..times).map(|copy| (seq + late * (copy + times % 2), seq)));
            }
            copies.sort_by_key(|&(place, _)| place);
            let arrivals: Vec<u32> = copies.into_iter().map(|(_, seq)| seq).collect();
            let sent = u32::try_from(fates.len()).unwrap();
            prop_assert_eq!(booked(&arrivals, sent), model(&arrivals, sent));
        }
    }
}
