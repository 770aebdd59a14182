//! Each connection's bytes, back to it. Knows no loop and no clock.
use longwire::ids::ConnId;
use longwire::net::ring::{Completion, Gate, Op, Ring, SendBuffer, SendKey, Token};
use rustix::io::Errno;
use std::mem::replace;
use std::os::fd::RawFd;

/// One connection's state, by its slot in the ring's table.
#[derive(Debug, Default)]
struct Conn {
    generation: u32,
    /// What came and was not sent yet.
    waiting: Vec<u8>,
    /// The send under way, and how much of it was sent before.
    sending: Option<(SendKey, usize)>,
    receiving: bool,
    /// The other side has left, or the connection is broken.
    ended: bool,
}

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    conns: Vec<Conn>,
    /// Slots with bytes to send.
    dirty: Vec<u32>,
    /// Buffers of finished sends, for the next bytes.
    spare: Vec<Vec<u8>>,
}

impl Echo {
    /// What a completion asks for; sends wait for [`Self::flush`].
    pub(crate) fn handle(&mut self, ring: &mut Ring, completion: Completion, listener: RawFd) {
        match completion.token.op() {
            Some(Op::Accept) => self.accepted(ring, completion, listener),
            Some(Op::Recv) => self.received(ring, completion),
            Some(Op::Send) => self.sent(ring, completion),
            _ => {}
        }
    }

    fn accepted(&mut self, ring: &mut Ring, completion: Completion, listener: RawFd) {
        if let Ok(slot) = u32::try_from(completion.result) {
            ring.arrived();
            let at = slot as usize;
            if at >= self.conns.len() {
                self.conns.resize_with(at + 1, Conn::default);
            }
            let generation = self.conns[at].generation + 1;
            self.conns[at] = Conn { generation, receiving: true, ..Conn::default() };
            ring.recv(slot, true, token(Op::Recv, slot, generation));
        }
        if !completion.more {
            ring.accept(listener, Gate::default());
        }
    }

    fn received(&mut self, ring: &mut Ring, completion: Completion) {
        let buffer = ring.received(&completion);
        let slot = completion.token.conn().index;
        if let Some(conn) = self.conn(completion.token) {
            conn.receiving = completion.more;
            if let Some(bytes) = buffer.as_deref().filter(|bytes| !bytes.is_empty()) {
                let first = conn.waiting.is_empty();
                conn.waiting.extend_from_slice(bytes);
                if first {
                    self.dirty.push(slot);
                }
            } else {
                // Without a free buffer it is only asked again: this turn gives some back.
                conn.ended = completion.result != -Errno::NOBUFS.raw_os_error();
            }
            self.settle(ring, slot);
        }
        if let Some(buffer) = buffer {
            ring.give_back(buffer);
        }
    }

    fn sent(&mut self, ring: &mut Ring, completion: Completion) {
        let slot = completion.token.conn().index;
        let Some(conn) = self.conn(completion.token) else { return };
        let Some((key, before)) = conn.sending.take() else { return };
        let Some(buffer) = ring.sent(key) else { return };
        let sent = usize::try_from(completion.result).map(|sent| before + sent);
        match sent {
            Ok(sent) if sent < buffer.size() => {
                let token = completion.token;
                conn.sending = Some((ring.send(slot, buffer, sent, token), sent));
                return;
            }
            Ok(_) => {}
            Err(_) => conn.ended = true,
        }
        if !conn.waiting.is_empty() {
            self.dirty.push(slot);
        }
        if let SendBuffer::Copied(mut bytes) = buffer {
            bytes.clear();
            self.spare.push(bytes);
        }
        self.settle(ring, slot);
    }

    /// Sends what waits, all of a connection's in one.
    pub(crate) fn flush(&mut self, ring: &mut Ring) {
        for slot in self.dirty.drain(..) {
            let conn = &mut self.conns[slot as usize];
            if conn.sending.is_some() || conn.ended || conn.waiting.is_empty() {
                continue;
            }
            let bytes = replace(&mut conn.waiting, self.spare.pop().unwrap_or_default());
            let key = ring.send(slot, SendBuffer::Copied(bytes), 0, token(Op::Send, slot, conn.generation));
            conn.sending = Some((key, 0));
        }
    }

    /// Receives again where the kernel stopped; closes what has ended once its send is back.
    fn settle(&mut self, ring: &mut Ring, slot: u32) {
        let conn = &mut self.conns[slot as usize];
        if conn.ended && conn.sending.is_none() {
            let receive = conn.receiving.then(|| token(Op::Recv, slot, conn.generation));
            // Completions that are still on their way carry this generation, and find none.
            conn.generation += 1;
            conn.waiting.clear();
            ring.close(slot, receive);
        } else if !conn.ended && !conn.receiving {
            conn.receiving = true;
            ring.recv(slot, true, token(Op::Recv, slot, conn.generation));
        }
    }

    fn conn(&mut self, token: Token) -> Option<&mut Conn> {
        let id = token.conn();
        self.conns.get_mut(id.index as usize).filter(|conn| conn.generation & GENERATIONS == id.generation)
    }
}

/// A token keeps 24 bits of the generation.
const GENERATIONS: u32 = 0x00ff_ffff;

fn token(op: Op, slot: u32, generation: u32) -> Token {
    Token::new(op, ConnId { index: slot, generation })
}
