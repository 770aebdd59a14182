//! The slow path of a connection's input: headers, payloads and messages that arrive in pieces. Knows no socket.

use super::super::frame::{CLIENT_HEADER_MAX, Header, Opcode};
use super::super::{mask, utf8};
use super::{Limits, ProtocolError, Received, is_whole, receive_control, receive_whole};

/// What has arrived of an unfinished frame and of an unfinished message.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    /// A header of which only a part is there, and how much.
    head: [u8; CLIENT_HEADER_MAX],
    head_size: u8,
    /// The frame whose payload is arriving.
    open: Option<Open>,
    /// The message begun by an earlier frame: text or binary.
    message: Option<Opcode>,
    /// In how many frames it came so far.
    frames: usize,
    /// Whether that message is compressed: then it is collected as it comes.
    compressed: bool,
    /// The message so far, unmasked.
    data: Vec<u8>,
    /// How much of `data` is known to be UTF-8, if it is text.
    checked: usize,
    /// A control frame's payload so far, unmasked.
    control: Vec<u8>,
    lent: Lent,
    /// When it began, in its owner's time.
    pub(super) since: Option<u32>,
    /// Bytes that came for it with earlier buffers, headers included.
    pub(super) arrived: usize,
}

/// A frame whose payload is arriving.
#[derive(Clone, Copy, Debug)]
struct Open {
    header: Header,
    received: usize,
}

/// What the caller was given a look at by the call before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Lent {
    #[default]
    Nothing,
    Control,
    Message,
}

impl Assembly {
    /// Takes back what was lent, and tells whether nothing at all is left.
    pub(super) fn take_back(&mut self) -> bool {
        match std::mem::take(&mut self.lent) {
            Lent::Nothing => {}
            Lent::Control => self.control.clear(),
            Lent::Message => {
                self.message = None;
                self.data = Vec::new();
                self.checked = 0;
            }
        }
        self.is_empty()
    }

    /// Whether nothing is half-received.
    pub(super) fn is_empty(&self) -> bool {
        self.head_size == 0 && self.open.is_none() && (self.message.is_none() || self.lent == Lent::Message)
    }

    /// All memory held, this included.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.data.capacity() + self.control.capacity()
    }

    /// As `Inbound::next`.
    pub(super) fn next<'b>(
        &'b mut self,
        buf: &'b mut [u8],
        at: &mut usize,
        limits: &Limits,
    ) -> Result<Option<Received<'b>>, ProtocolError> {
        loop {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => {
                    let Some(header) = self.read_header(buf, at)? else { return Ok(None) };
                    self.admit(&header, limits)?;
                    if is_whole(&header, buf.len() - *at) {
                        return receive_whole(&header, buf, at).map(Some);
                    }
                    if header.opcode == Opcode::Continue {
                        self.frames += 1;
                    }
                    if matches!(header.opcode, Opcode::Text | Opcode::Binary) {
                        self.frames = 1;
                        self.message = Some(header.opcode);
                        self.compressed = header.compressed;
                    }
                    Open { header, received: 0 }
                }
            };
            let due = header_payload(&open.header) - open.received;
            let piece = &mut buf[*at..];
            let size = due.min(piece.len());
            let piece = &mut piece[..size];
            *at += size;
            let ascii = mask::unmask(piece, open.header.mask, open.received);
            open.received += size;
            if open.header.opcode.is_control() {
                self.control.extend_from_slice(piece);
            } else {
                self.reserve(size, if open.header.fin { due } else { usize::MAX }, limits);
                self.extend(piece, ascii)?;
            }
            if size < due {
                self.open = Some(open);
                return Ok(None);
            }
            if open.header.opcode.is_control() {
                self.lent = Lent::Control;
                return receive_control(open.header.opcode, &self.control).map(Some);
            }
            if open.header.fin {
                return self.finish().map(Some);
            }
        }
    }

    /// Takes the next header, whose first part may have come with an earlier buffer.
    fn read_header(&mut self, buf: &[u8], at: &mut usize) -> Result<Option<Header>, ProtocolError> {
        let before = usize::from(self.head_size);
        let rest = &buf[*at..];
        let taken = rest.len().min(CLIENT_HEADER_MAX - before);
        let head = before + taken;
        self.head[before..head].copy_from_slice(&rest[..taken]);
        let parsed = Header::parse(&self.head[..head])?;
        match parsed {
            Some(header) => {
                // An incomplete part was left before, so this header ends beyond it.
                *at += header.size - before;
                self.head_size = 0;
            }
            None => {
                *at += taken;
                self.head_size = head as u8;
            }
        }
        Ok(parsed)
    }

    /// Judges a frame by its header, before anything is reserved for it.
    fn admit(&self, header: &Header, limits: &Limits) -> Result<(), ProtocolError> {
        match (header.opcode, self.message) {
            (Opcode::Continue, None) => Err(ProtocolError::CONTINUATION),
            (Opcode::Text | Opcode::Binary, Some(_)) => Err(ProtocolError::INTERLEAVED),
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => Ok(()),
            (Opcode::Continue, Some(_)) if self.frames >= limits.fragments_max() => {
                Err(ProtocolError::TOO_MANY_FRAGMENTS)
            }
            (Opcode::Continue, Some(_)) => {
                limits.check(header.payload.saturating_add(self.data.len() as u64), self.compressed)
            }
            (Opcode::Text | Opcode::Binary, None) => limits.check(header.payload, header.compressed),
        }
    }

    /// Makes room for `size` more bytes by doubling, never past what can still come: a header alone, whatever it announces, costs
    /// nothing.
    fn reserve(&mut self, size: usize, due: usize, limits: &Limits) {
        let length = self.data.len();
        if self.data.capacity() - length < size {
            let most = limits.most(self.compressed).min(length.saturating_add(due));
            let wanted = self.data.capacity().saturating_mul(2).max(length + size).min(most);
            self.data.reserve_exact(wanted - length);
        }
    }

    /// Appends unmasked bytes to the message, failing at the first that text cannot have.
    fn extend(&mut self, piece: &[u8], ascii: bool) -> Result<(), ProtocolError> {
        let all_checked = self.checked == self.data.len();
        self.data.extend_from_slice(piece);
        if self.message == Some(Opcode::Text) && !self.compressed {
            self.checked = if ascii && all_checked {
                self.data.len()
            } else {
                utf8::extend_check(&self.data, self.checked).map_err(|_| ProtocolError::NOT_UTF8)?
            };
        }
        Ok(())
    }

    /// Lends the message, now that its last frame is there.
    fn finish(&mut self) -> Result<Received<'_>, ProtocolError> {
        let text = self.message == Some(Opcode::Text);
        if self.compressed {
            self.lent = Lent::Message;
            return Ok(Received::Compressed { text, payload: &self.data });
        }
        if text && self.checked != self.data.len() {
            return Err(ProtocolError::NOT_UTF8);
        }
        self.lent = Lent::Message;
        Ok(Received::Message { text, payload: &self.data })
    }
}

/// The payload's length; admitted, so it fits.
fn header_payload(header: &Header) -> usize {
    header.payload as usize
}
