//! One io_uring with its descriptor table and receive buffers: the safe door to the kernel. Knows no WebSocket.
//!
//! The ring owns what is in flight: a send's bytes go in by value and come back with its completion, a
//! received buffer is handed out and given back. Nothing here can be freed under the kernel.
#![allow(unsafe_code)]

mod buffers;
mod names;
mod token;
mod vectored;

pub use buffers::RecvBuffer;
pub use token::{Gate, Op, Token};
pub use vectored::Vectored;

use crate::frame::Frame;
use crate::ids::ConnId;
use crate::limits::{RECV_BUFFER_SIZE, RING_CQ, RING_FILL_PERCENT, RING_SQ};
use buffers::{Buffers, GROUP};
use io_uring::types::{CancelBuilder, DestinationSlot, Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use names::Names;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// `IORING_MSG_RING_CQE_SKIP`: the target gets no completion, the sender's own holds the allocated slot.
const MSG_RING_CQE_SKIP: u32 = 1;

/// Bytes on their way out.
#[derive(Debug)]
pub enum SendBuffer {
    /// One shared frame.
    Frame(Frame),
    /// Several frames copied together.
    Copied(Vec<u8>),
    /// Several frames where they lie.
    Vectored(Box<Vectored>),
}

impl SendBuffer {
    /// Its bytes' number.
    pub fn size(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.size(),
            Self::Copied(bytes) => bytes.len(),
            Self::Vectored(frames) => frames.size(),
        }
    }

    /// The memory it takes, as if a frame had no other receiver.
    pub fn memory(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.size(),
            Self::Copied(bytes) => bytes.capacity(),
            Self::Vectored(frames) => frames.size(),
        }
    }

    /// Its part of that memory now.
    pub fn share(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.share(),
            Self::Copied(bytes) => bytes.capacity(),
            Self::Vectored(frames) => frames.share(),
        }
    }
}

/// Names a send in flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendKey(u32);

/// One completion.
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    /// What it is about.
    pub token: Token,
    /// The result, a negative errno on failure.
    pub result: i32,
    /// The receive buffer it filled.
    pub buffer: Option<u16>,
    /// The operation goes on (multishot).
    pub more: bool,
}

impl Completion {
    /// Whose accept it was.
    pub fn gate(&self) -> Gate {
        Gate(self.token.conn().generation as u8)
    }
}

/// A ring that connections may be moved into from other threads.
#[derive(Clone, Debug)]
pub struct RingAddress {
    fd: RawFd,
    used: Arc<AtomicU32>,
    fill: u32,
}

impl RingAddress {
    /// Whether there is room below the fill mark; takes the place if so.
    pub fn reserve(&self) -> bool {
        if self.used.fetch_add(1, Ordering::Relaxed) < self.fill {
            return true;
        }
        self.release();
        false
    }

    /// Gives a reserved place back.
    pub fn release(&self) {
        self.used.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One io_uring.
pub struct Ring {
    // Before `buffers`: the kernel must let go of their memory first.
    uring: IoUring,
    buffers: Buffers,
    /// As above; made with the first accept that asks for a name.
    names: Option<Names>,
    in_flight: Vec<Option<SendBuffer>>,
    free_keys: Vec<u32>,
    used: Arc<AtomicU32>,
    fill: u32,
    deadline: Box<Timespec>,
    given_back: bool,
    enters: u64,
    overflows: u64,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("used", &self.used()).field("fill", &self.fill).finish_non_exhaustive()
    }
}

/// The token of a listener's accepts without a place for a name.
fn accept(gate: Gate) -> Token {
    Token::new(Op::Accept, ConnId { index: 0, generation: u32::from(gate.0) })
}

/// The token of an accept that has one.
fn named_accept(gate: Gate, number: u32) -> Token {
    Token::new(Op::Accept, ConnId { index: number + 1, generation: u32::from(gate.0) })
}

impl Ring {
    /// Builds a ring with a table of `slots` descriptors and `buffers` receive buffers, telling `eventfd` of completions
    /// while [`Ring::listen`] is on. Only the thread that builds it may use it (`IORING_SETUP_SINGLE_ISSUER`).
    ///
    /// # Errors
    /// Each step's own; `preflight` puts them into words.
    pub fn new(slots: u32, buffers: u16, eventfd: RawFd) -> io::Result<Self> {
        Self::with_queues(slots, buffers, eventfd, RING_SQ, RING_CQ)
    }

    /// The same with queues of other sizes than a server's (entries).
    ///
    /// # Errors
    /// As [`Ring::new`].
    pub fn with_queues(slots: u32, buffers: u16, eventfd: RawFd, sq: u32, cq: u32) -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_clamp()
            .setup_cqsize(cq)
            .build(sq)?;
        uring.submitter().register_files_sparse(slots)?;
        uring.submitter().register_eventfd(eventfd)?;
        let buffers = Buffers::register(&uring, buffers)?;
        let mut ring = Self {
            uring,
            buffers,
            names: None,
            in_flight: Vec::new(),
            free_keys: Vec::new(),
            used: Arc::default(),
            fill: slots / 100 * RING_FILL_PERCENT + slots % 100 * RING_FILL_PERCENT / 100,
            deadline: Box::new(Timespec::new()),
            given_back: false,
            enters: 0,
            overflows: 0,
        };
        ring.listen(false);
        Ok(ring)
    }

    /// How other threads move connections into it.
    pub fn address(&self) -> RingAddress {
        RingAddress { fd: self.uring.as_raw_fd(), used: Arc::clone(&self.used), fill: self.fill }
    }

    /// Descriptors in its table, those on their way included.
    pub fn used(&self) -> u32 {
        self.used.load(Ordering::Relaxed)
    }

    /// Descriptors it takes before the next ring's turn.
    pub fn fill(&self) -> u32 {
        self.fill
    }

    /// Descriptors it takes yet before the next ring's turn.
    pub fn room(&self) -> u32 {
        self.fill.saturating_sub(self.used())
    }

    /// Receive buffers of all its connections together.
    pub fn buffers(&self) -> u16 {
        self.buffers.count()
    }

    /// Receive buffers that were taken and not given back.
    pub fn buffers_out(&self) -> u16 {
        self.buffers.out()
    }

    /// System calls made since the last question.
    pub fn take_enters(&mut self) -> u64 {
        std::mem::take(&mut self.enters)
    }

    /// How often completions overflowed into the kernel since the last question.
    pub fn take_overflows(&mut self) -> u64 {
        std::mem::take(&mut self.overflows)
    }

    /// Whether the kernel tells the eventfd of completions: only while the shard sleeps.
    pub fn listen(&mut self, on: bool) {
        let completions = self.uring.completion();
        if on { completions.enable_eventfd() } else { completions.disable_eventfd() }
    }

    /// Whether there is something to submit or to reap.
    #[inline]
    pub fn is_ready(&mut self) -> bool {
        !self.uring.completion().is_empty() || self.needs_enter()
    }

    #[inline]
    fn needs_enter(&mut self) -> bool {
        let submissions = self.uring.submission();
        !submissions.is_empty() || submissions.taskrun() || submissions.cq_overflow()
    }

    /// Submits what is queued, lets the kernel finish deferred work, and appends all completions to `out`.
    ///
    /// # Errors
    /// When the kernel refuses the ring itself; what was queued stays queued on EBUSY, EAGAIN and EINTR.
    pub fn turn(&mut self, out: &mut Vec<Completion>) -> io::Result<()> {
        if std::mem::take(&mut self.given_back) {
            self.buffers.publish();
        }
        self.overflows += u64::from(self.uring.submission().cq_overflow());
        if self.needs_enter() {
            self.enter()?;
        }
        for entry in self.uring.completion() {
            out.push(Completion {
                token: Token(entry.user_data()),
                result: entry.result(),
                buffer: cqueue::buffer_select(entry.flags()),
                more: cqueue::more(entry.flags()),
            });
        }
        Ok(())
    }

    /// Submits what is queued and reaps nothing: sends that need not wait have happened when it returns.
    ///
    /// # Errors
    /// As [`Ring::turn`].
    pub fn submit(&mut self) -> io::Result<()> {
        if self.uring.submission().is_empty() { Ok(()) } else { self.enter() }
    }

    /// Whether the kernel has taken everything that was queued.
    pub fn all_submitted(&mut self) -> bool {
        self.uring.submission().is_empty()
    }

    fn enter(&mut self) -> io::Result<()> {
        self.enters += 1;
        match self.uring.submit() {
            Ok(_) => Ok(()),
            Err(e) if matches!(e.raw_os_error(), Some(libc::EBUSY | libc::EAGAIN | libc::EINTR)) => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn push(&mut self, entry: &squeue::Entry) {
        loop {
            // SAFETY: entries are built in this file only: their buffers are owned by the ring (`in_flight`, `buffers`,
            // `names`, `deadline`) until the kernel is done with them.
            if unsafe { self.uring.submission().push(entry) }.is_ok() {
                return;
            }
            // A full queue is submitted at once; SUBMIT_ALL consumes it even if one entry is wrong.
            self.enter().expect("the kernel takes submissions of a ring that it gave out");
        }
    }

    /// Accepts connections of a listener into free slots until told otherwise.
    pub fn accept(&mut self, listener: RawFd, gate: Gate) {
        // SOCK_CLOEXEC is refused for direct descriptors; they are never inherited anyway.
        let entry = opcode::AcceptMulti::new(Fd(listener)).allocate_file_index(true).build();
        self.push(&entry.user_data(accept(gate).0));
    }

    /// Accepts one connection.
    pub fn accept_one(&mut self, listener: RawFd, gate: Gate) {
        let entry = opcode::Accept::new(Fd(listener), std::ptr::null_mut(), std::ptr::null_mut())
            .file_index(Some(DestinationSlot::auto_target()))
            .build();
        self.push(&entry.user_data(accept(gate).0));
    }

    /// Accepts one connection and notes from where it comes, for [`Ring::accepted_from`]; false if too many are under way.
    pub fn accept_named(&mut self, listener: RawFd, gate: Gate) -> bool {
        let Some(lent) = self.names.get_or_insert_with(Names::new).lend() else { return false };
        let entry = opcode::Accept::new(Fd(listener), lent.address, lent.length)
            .file_index(Some(DestinationSlot::auto_target()))
            .build();
        self.push(&entry.user_data(named_accept(gate, lent.number).0));
        true
    }

    /// From where a connection came whose accept has completed; to be asked once for each.
    pub fn accepted_from(&mut self, completion: &Completion) -> Option<IpAddr> {
        let number = completion.token.conn().index.checked_sub(1)?;
        self.names.as_mut()?.take_back(number)
    }

    /// Ends all accepts of a listener under way; a last completion of each follows.
    pub fn stop_accepting(&mut self, gate: Gate) {
        // What another listener was lent is not found under this one's token.
        for number in self.names.iter().flat_map(Names::lent).collect::<Vec<_>>() {
            self.cancel(named_accept(gate, number));
        }
        let all = CancelBuilder::user_data(accept(gate).0).all();
        let entry = opcode::AsyncCancel2::new(all).build().flags(squeue::Flags::SKIP_SUCCESS);
        self.push(&entry.user_data(Token::bare(Op::Close).0));
    }

    /// Counts a descriptor that arrived in the table by accept.
    pub fn arrived(&mut self) {
        self.used.fetch_add(1, Ordering::Relaxed);
    }

    /// Puts a socket into a free slot of the table; the caller's own descriptor may be closed afterwards.
    ///
    /// # Errors
    /// The kernel's, when the slot does not exist or the table is not there.
    pub fn install(&mut self, slot: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.uring.submitter().register_files_update(slot, &[socket.as_raw_fd()])?;
        self.arrived();
        Ok(())
    }

    /// Completes once when there is something to receive, or the other side has ended: the cheapest way to wait for long.
    pub fn poll(&mut self, slot: u32, token: Token) {
        let entry = opcode::PollAdd::new(Fixed(slot), (libc::POLLIN | libc::POLLRDHUP) as u32).build();
        self.push(&entry.user_data(token.0));
    }

    /// Receives into a provided buffer, once or for as long as buffers last.
    pub fn recv(&mut self, slot: u32, multishot: bool, token: Token) {
        let entry = if multishot {
            opcode::RecvMulti::new(Fixed(slot), GROUP).build()
        } else {
            opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), RECV_BUFFER_SIZE as u32)
                .buf_group(GROUP)
                .build()
                .flags(squeue::Flags::BUFFER_SELECT)
        };
        self.push(&entry.user_data(token.0));
    }

    /// Takes the buffer a receive filled; one that failed after it had taken its buffer filled nothing of it.
    pub fn received(&self, completion: &Completion) -> Option<RecvBuffer> {
        let len = usize::try_from(completion.result).unwrap_or_default();
        Some(self.buffers.take(completion.buffer?, len))
    }

    /// Returns a received buffer.
    #[allow(clippy::needless_pass_by_value)] // by value, so that nobody reads it afterwards
    pub fn give_back(&mut self, buffer: RecvBuffer) {
        self.buffers.give_back(&buffer);
        self.given_back = true;
    }

    /// Sends bytes from `offset` on; they come back from [`Ring::sent`]. One send a connection at a time.
    pub fn send(&mut self, slot: u32, mut buffer: SendBuffer, offset: usize, token: Token) -> SendKey {
        let key = self.free_keys.pop().unwrap_or_else(|| {
            self.in_flight.push(None);
            (self.in_flight.len() - 1) as u32
        });
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let plain = |bytes: &[u8]| {
            let rest = &bytes[offset..];
            let len = u32::try_from(rest.len()).unwrap_or(u32::MAX);
            opcode::Send::new(Fixed(slot), rest.as_ptr(), len).flags(flags).build()
        };
        let entry = match &mut buffer {
            SendBuffer::Frame(frame) => plain(frame.bytes()),
            SendBuffer::Copied(bytes) => plain(bytes),
            SendBuffer::Vectored(frames) => {
                opcode::SendMsg::new(Fixed(slot), frames.from(offset)).flags(flags.cast_unsigned()).build()
            }
        };
        self.in_flight[key as usize] = Some(buffer);
        self.push(&entry.user_data(token.0));
        SendKey(key)
    }

    /// The bytes of a send under way.
    pub fn sending(&self, key: SendKey) -> Option<&SendBuffer> {
        self.in_flight.get(key.0 as usize)?.as_ref()
    }

    /// Takes the bytes of a finished send back.
    pub fn sent(&mut self, key: SendKey) -> Option<SendBuffer> {
        let buffer = self.in_flight.get_mut(key.0 as usize)?.take();
        if buffer.is_some() {
            self.free_keys.push(key.0);
        }
        buffer
    }

    /// Ends an operation by its token; its last completion follows.
    pub fn cancel(&mut self, token: Token) {
        let entry = opcode::AsyncCancel::new(token.0).build().flags(squeue::Flags::SKIP_SUCCESS);
        self.push(&entry.user_data(Token::bare(Op::Close).0));
    }

    /// Ends our direction of a connection; what was sent still arrives. The kernel does this on another thread, which looks the
    /// slot up only then: until the completion the slot must not be closed, or the next connection in it is shut.
    pub fn shutdown_write(&mut self, slot: u32, token: Token) {
        let entry = opcode::Shutdown::new(Fixed(slot), libc::SHUT_WR).build();
        self.push(&entry.user_data(token.0));
    }

    /// Ends what is under way on a slot, by its tokens, and frees it. By descriptor the kernel would look at every poll of
    /// the ring: 270 µs a close beside 19,000 connections.
    pub fn close(&mut self, slot: u32, under_way: impl IntoIterator<Item = Token>) {
        under_way.into_iter().for_each(|token| self.cancel(token));
        let close = opcode::Close::new(Fixed(slot)).build();
        self.push(&close.flags(squeue::Flags::SKIP_SUCCESS).user_data(Token::bare(Op::Close).0));
        self.used.fetch_sub(1, Ordering::Relaxed);
    }

    /// Copies a slot's descriptor into another ring's table; the completion holds the slot it got there.
    pub fn move_to(&mut self, target: &RingAddress, slot: u32, token: Token) {
        let entry = opcode::MsgRingSendFd::new(Fd(target.fd), Fixed(slot), DestinationSlot::auto_target(), 0)
            .opcode_flags(MSG_RING_CQE_SKIP)
            .build();
        self.push(&entry.user_data(token.0));
    }

    /// Completes after `millis`; one timer at a time.
    pub fn timer(&mut self, millis: u64) {
        *self.deadline = Timespec::new().sec(millis / 1000).nsec((millis % 1000) as u32 * 1_000_000);
        let entry = opcode::Timeout::new(&raw const *self.deadline).build();
        self.push(&entry.user_data(Token::bare(Op::Timer).0));
    }

    /// Ends the timer early; its completion follows.
    pub fn stop_timer(&mut self) {
        let entry = opcode::TimeoutRemove::new(Token::bare(Op::Timer).0).build();
        self.push(&entry.flags(squeue::Flags::SKIP_SUCCESS).user_data(Token::bare(Op::Close).0));
    }

    /// Completes once when `bell` becomes readable.
    pub fn watch(&mut self, bell: RawFd) {
        let entry = opcode::PollAdd::new(Fd(bell), libc::POLLIN as u32).build();
        self.push(&entry.user_data(Token::bare(Op::Bell).0));
    }

    /// Submits what is queued and blocks until there is a completion, or for `millis`.
    ///
    /// # Errors
    /// When the kernel refuses the ring itself.
    pub fn wait(&mut self, millis: u64) -> io::Result<()> {
        if std::mem::take(&mut self.given_back) {
            self.buffers.publish();
        }
        self.enters += 1;
        let timeout = Timespec::new().sec(millis / 1000).nsec((millis % 1000) as u32 * 1_000_000);
        match self.uring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&timeout)) {
            Ok(_) => Ok(()),
            Err(e) => match e.raw_os_error() {
                Some(libc::ETIME | libc::EBUSY | libc::EAGAIN | libc::EINTR) => Ok(()),
                _ => Err(e),
            },
        }
    }
}
