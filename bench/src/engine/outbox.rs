//! What waits to be sent on one connection: one send under way, the rest queued behind it. Knows no frame.
use longwire::net::ring::{Ring, SendBuffer, SendKey, Token};

/// Bytes kept for the next message; what a burst needed beyond that is given back.
const KEPT: usize = 16 << 10;

/// A connection's bytes on their way out.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    sending: Option<(SendKey, usize)>,
    /// Bytes of the send under way.
    under_way: usize,
    queue: Vec<u8>,
    spare: Vec<u8>,
}

impl Outbox {
    /// Adds bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.queue.extend_from_slice(bytes);
    }

    /// Bytes that no send has taken yet.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Bytes that are kept: those queued, and those of the send under way.
    pub(super) fn held(&self) -> usize {
        self.queue.len() + self.under_way
    }

    /// Whether a send is under way.
    pub(super) fn sending(&self) -> bool {
        self.sending.is_some()
    }

    /// Sends what is queued, unless a send is under way: a second one could overtake the rest of a short first.
    pub(super) fn flush(&mut self, ring: &mut Ring, slot: u32, token: Token) {
        if self.sending.is_none() && !self.queue.is_empty() {
            let bytes = std::mem::replace(&mut self.queue, std::mem::take(&mut self.spare));
            self.under_way = bytes.len();
            self.sending = Some((ring.send(slot, SendBuffer::Copied(bytes), 0, token), 0));
        }
    }

    /// Takes a send's completion; sends the rest where it was short, then what was queued meanwhile.
    pub(super) fn sent(&mut self, ring: &mut Ring, slot: u32, token: Token, result: Result<usize, i32>) {
        let Some((key, before)) = self.sending.take() else { return };
        let Some(SendBuffer::Copied(mut bytes)) = ring.sent(key) else { return };
        let done = before + result.unwrap_or(usize::MAX / 2);
        if done < bytes.len() {
            self.sending = Some((ring.send(slot, SendBuffer::Copied(bytes), done, token), done));
            return;
        }
        self.under_way = 0;
        bytes.clear();
        bytes.shrink_to(KEPT);
        self.spare = bytes;
        if result.is_ok() {
            self.flush(ring, slot, token);
        }
    }

    /// Forgets what was queued.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.queue.shrink_to(KEPT);
    }
}
