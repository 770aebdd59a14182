//! The beginnings of frames whose rest has not come. Knows no connection and no socket.
use super::pool::Pool;
use crate::limits::CARRIED_BYTES;

/// Bytes of memory that a place keeps for the next frame.
const KEPT: usize = 4 << 10;

/// Lent by number, like all that few connections need at a time.
#[derive(Debug, Default)]
pub(super) struct Carries {
    pool: Pool<Vec<u8>>,
    /// Bytes in all of them.
    bytes: usize,
}

impl Carries {
    /// Keeps the beginning of a frame.
    pub(super) fn begin(&mut self, bytes: &[u8]) -> u32 {
        let carry = self.pool.take();
        self.pool.get(carry).extend_from_slice(bytes);
        self.bytes += bytes.len();
        carry
    }

    /// Takes it out, to be put back with what has come.
    pub(super) fn lend(&mut self, carry: u32) -> Vec<u8> {
        let kept = std::mem::take(self.pool.get(carry));
        self.bytes -= kept.len();
        kept
    }

    /// Puts it back.
    pub(super) fn put_back(&mut self, carry: u32, kept: Vec<u8>) {
        self.bytes += kept.len();
        *self.pool.get(carry) = kept;
    }

    /// Forgets it.
    pub(super) fn forget(&mut self, carry: u32) {
        let kept = self.pool.get(carry);
        self.bytes -= kept.len();
        kept.clear();
        kept.shrink_to(KEPT);
        self.pool.give_back(carry);
    }

    /// Whether they are more than a thread keeps.
    pub(super) fn too_many(&self) -> bool {
        self.bytes > CARRIED_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_counted() {
        let mut carries = Carries::default();
        let one = carries.begin(b"half");
        let other = carries.begin(&vec![0; CARRIED_BYTES]);
        assert!(carries.too_many());
        carries.forget(other);
        assert!(!carries.too_many());
        let mut kept = carries.lend(one);
        kept.extend_from_slice(b" a frame");
        carries.put_back(one, kept);
        assert_eq!((carries.bytes, carries.lend(one).as_slice()), (12, b"half a frame" as &[u8]));
        assert_eq!(carries.bytes, 0);
    }
}
