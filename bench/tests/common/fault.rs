//! What a server does wrong, with which of the messages that it delivers.

/// The delivery that [`super::serve`] gets wrong.
const FAULTY: usize = 20;

/// One wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    None,
    Drop,
    Duplicate,
    /// The same, and the second one a little later.
    DuplicateLate,
    /// Delivered after the one that follows it.
    Swap,
    /// The receiver's connection is closed.
    Close,
    /// Delivered to someone else.
    Misdeliver,
    /// Delivered to someone else as well.
    Leak,
    /// Delivered to whoever sent it as well.
    EchoBack,
    /// This byte of the payload is another one.
    Corrupt(usize),
    /// A message of an earlier run comes before it.
    Foreign,
    /// Delivered, and not acked. (Acks have numbers of their own.)
    KeepAck,
    /// The message acked before it is acked once more in its place.
    AckAnother,
    /// Acked twice.
    AckTwice,
    /// Acked to someone else.
    AckElsewhere,
    /// Delivered, and answered by an error in place of the ack.
    Refuse,
}

/// Which deliveries meet the fault. Probes are not counted, so that the fault meets the workload.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    fault: Fault,
    /// Numbers of deliveries, growing.
    at: Vec<usize>,
}

impl Faults {
    pub(crate) fn none() -> Self {
        Self { fault: Fault::None, at: Vec::new() }
    }

    /// The fault meets the one delivery.
    pub(crate) fn once(fault: Fault) -> Self {
        Self::each(fault, &[FAULTY])
    }

    /// The fault meets these deliveries.
    pub(crate) fn each(fault: Fault, at: &[usize]) -> Self {
        assert!(at.is_sorted_by(|a, b| a < b), "numbers of deliveries must grow");
        Self { fault, at: at.to_vec() }
    }

    /// What happens to a delivery.
    pub(crate) fn of(&self, delivery: usize) -> Fault {
        if self.at.binary_search(&delivery).is_ok() { self.fault } else { Fault::None }
    }
}
