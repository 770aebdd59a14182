//! The 64 bits that come back with a completion: which operation of which connection. Knows no ring.

use crate::ids::ConnId;

/// What a completion is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Op {
    /// A new connection.
    Accept = 1,
    /// Bytes for a connection.
    Recv,
    /// A send's end.
    Send,
    /// A descriptor that was to move to another ring.
    Move,
    /// A cancel or close, of which only failures are told.
    Close,
    /// The loop's own timer.
    Timer,
    /// A connection whose sending side was shut down.
    Shut,
    /// Somebody rang while the shard napped.
    Bell,
    /// A connection that has something to receive.
    Poll,
}

/// Which of a core's listeners.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Gate(pub u8);

/// An operation and its connection, packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token(pub u64);

impl Token {
    /// Packs; the generation has 24 bits.
    pub fn new(op: Op, conn: ConnId) -> Self {
        Self(u64::from(conn.index) | u64::from(conn.generation & 0x00ff_ffff) << 32 | (op as u64) << 56)
    }

    /// A token of an operation that belongs to no connection.
    pub fn bare(op: Op) -> Self {
        Self::new(op, ConnId { index: 0, generation: 0 })
    }

    /// Which operation.
    pub fn op(self) -> Option<Op> {
        Some(match self.0 >> 56 {
            1 => Op::Accept,
            2 => Op::Recv,
            3 => Op::Send,
            4 => Op::Move,
            5 => Op::Close,
            6 => Op::Timer,
            7 => Op::Shut,
            8 => Op::Bell,
            9 => Op::Poll,
            _ => return None,
        })
    }

    /// Whose.
    pub fn conn(self) -> ConnId {
        ConnId { index: self.0 as u32, generation: (self.0 >> 32) as u32 & 0x00ff_ffff }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_and_unpacks() {
        let conn = ConnId { index: u32::MAX, generation: 0x00ff_ffff };
        let ops =
            [Op::Accept, Op::Recv, Op::Send, Op::Move, Op::Close, Op::Timer, Op::Shut, Op::Bell, Op::Poll];
        for op in ops {
            let token = Token::new(op, conn);
            assert_eq!((token.op(), token.conn()), (Some(op), conn));
        }
        assert_eq!(Token(0).op(), None);
    }
}
