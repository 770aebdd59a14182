//! What a frame costs its sender when several leave in one send, copied together or sent from where they lie:
//! `cargo bench -p longwire-micro --bench send`, or with sizes: `-- 4096,16384`.
//!
//! CPU time of the sending thread a frame, the kernel's part included, with the receivers on another core: it wants two free
//! ones. The two ways take turns; each line is the median of the rounds, with the least and the most of them. "shared" frames are
//! the same for all connections, as a group's are; "own" ones are not, as private chat's are.

use longwire::frame::Frame;
use longwire::ids::ConnId;
use longwire::limits::COALESCE_MAX;
use longwire::net::ring::{Op, Ring, SendBuffer, SendKey, Token, Vectored};
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::net::RecvFlags;
use rustix::time::{ClockId, clock_gettime};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

const CONNECTIONS: usize = 500;
/// Sends submitted together.
const BATCH: usize = 64;
const ROUNDS: usize = 7;
/// Bytes sent in one way before the other one's turn, about.
const BYTES: usize = 40_000_000;
const SIZES: [usize; 8] = [64, 128, 512, 1024, 2048, 4096, 8192, 16_384];
const FRAMES: [usize; 3] = [2, 4, 10];

/// Connections with their receivers, and what their sends left for the next ones.
struct Bench {
    ring: Ring,
    _sockets: Vec<TcpStream>,
    _bell: OwnedFd,
    copied: Vec<Vec<u8>>,
    #[allow(clippy::vec_box)] // as the ring takes them
    vectored: Vec<Box<Vectored>>,
}

impl Bench {
    fn new() -> Self {
        let bell = eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
        let mut ring = Ring::new(CONNECTIONS as u32, 8, bell.as_raw_fd()).expect("a ring");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let (mut sockets, mut peers) = (Vec::new(), Vec::new());
        for slot in 0..CONNECTIONS {
            let socket = TcpStream::connect(address).expect("it is accepted");
            socket.set_nodelay(true).expect("no delay");
            ring.install(slot as u32, socket.as_fd()).expect("a slot");
            sockets.push(socket);
            peers.push(listener.accept().expect("a peer").0);
        }
        thread::spawn(move || swallow(&peers));
        Self { ring, _sockets: sockets, _bell: bell, copied: Vec::new(), vectored: Vec::new() }
    }

    fn buffer(&mut self, queue: Vec<Frame>, copy: bool) -> SendBuffer {
        if copy {
            let mut bytes = self.copied.pop().unwrap_or_default();
            bytes.clear();
            queue.iter().for_each(|frame| bytes.extend_from_slice(frame.bytes()));
            return SendBuffer::Copied(bytes);
        }
        let mut frames = self.vectored.pop().unwrap_or_default();
        queue.into_iter().for_each(|frame| frames.push(frame));
        SendBuffer::Vectored(frames)
    }

    /// Sends each connection its frames in one send.
    fn turn(&mut self, sets: &[Vec<Frame>], copy: bool) {
        let mut keys: Vec<Option<(SendKey, usize)>> = vec![None; CONNECTIONS];
        let mut completions = Vec::new();
        for batch in (0..CONNECTIONS).collect::<Vec<_>>().chunks(BATCH) {
            for &slot in batch {
                // Cloned, as a queue's frames are.
                let buffer = self.buffer(sets[slot % sets.len()].clone(), copy);
                let (size, conn) = (buffer.size(), ConnId { index: slot as u32, generation: 0 });
                keys[slot] = Some((self.ring.send(slot as u32, buffer, 0, Token::new(Op::Send, conn)), size));
            }
            let mut left = batch.len();
            while left > 0 {
                self.ring.turn(&mut completions).expect("the ring turns");
                for completion in completions.drain(..) {
                    let slot = completion.token.conn().index as usize;
                    let (key, size) = keys[slot].take().expect("it was sent");
                    assert_eq!(usize::try_from(completion.result), Ok(size), "all of it is sent");
                    match self.ring.sent(key) {
                        Some(SendBuffer::Copied(bytes)) => self.copied.push(bytes),
                        Some(SendBuffer::Vectored(mut frames)) => {
                            frames.clear();
                            self.vectored.push(frames);
                        }
                        _ => {}
                    }
                    left -= 1;
                }
            }
        }
    }

    /// Nanoseconds of this thread's CPU time a frame.
    fn cost(&mut self, sets: &[Vec<Frame>], copy: bool) -> f64 {
        let bytes: usize = sets[0].iter().map(Frame::size).sum::<usize>() * CONNECTIONS;
        let turns = (BYTES / (bytes + 500_000)).clamp(2, 30);
        let before = cpu_time();
        (0..turns).for_each(|_| self.turn(sets, copy));
        let spent = cpu_time() - before;
        // The receivers catch up.
        thread::sleep(Duration::from_millis(5));
        spent.as_nanos() as f64 / (turns * CONNECTIONS * sets[0].len()) as f64
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Reads and forgets whatever comes, on another core.
fn swallow(peers: &[TcpStream]) {
    if let Some(&core) = affinity::get_thread_affinity().ok().and_then(|cores| cores.get(1).copied()).as_ref()
    {
        affinity::set_thread_affinity([core]).expect("a core");
    }
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
    for (n, peer) in peers.iter().enumerate() {
        peer.set_nonblocking(true).expect("it does not block");
        epoll::add(&poll, peer, epoll::EventData::new_u64(n as u64), epoll::EventFlags::IN).expect("added");
    }
    let (mut events, mut bytes) = (Vec::with_capacity(512), vec![0; 1 << 20]);
    loop {
        events.clear();
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None).expect("events");
        for event in &events {
            let peer = &peers[event.data.u64() as usize];
            // `TRUNC` counts the bytes without copying them. Nothing there means that it was read before.
            let _ = rustix::net::recv(peer, &mut bytes[..], RecvFlags::TRUNC);
        }
    }
}

/// The median, the least and the most.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

fn main() {
    let given: Vec<usize> = std::env::args()
        .skip(1)
        .flat_map(|arg| arg.split(',').map_while(|n| n.parse().ok()).collect::<Vec<_>>())
        .collect();
    let sizes = if given.is_empty() { SIZES.to_vec() } else { given };
    let mut bench = Bench::new();
    if let Some(&core) = affinity::get_thread_affinity().expect("the cores of this process").first() {
        affinity::set_thread_affinity([core]).expect("a core");
    }
    println!("bytes  frames  which    ns a frame: copied            from where they lie     ratio");
    for size in sizes {
        for frames in FRAMES.into_iter().filter(|frames| size * frames <= COALESCE_MAX) {
            for (which, sets) in [("shared", 1), ("own", CONNECTIONS)] {
                let set = || (0..frames).map(|_| Frame::new(&vec![b'x'; size])).collect();
                let sets: Vec<Vec<Frame>> = (0..sets).map(|_| set()).collect();
                let mut rounds = Vec::new();
                for _ in 0..=ROUNDS {
                    rounds.push((bench.cost(&sets, true), bench.cost(&sets, false)));
                }
                // The first one warms up.
                let rounds = &rounds[1..];
                let (a, a0, a1) = spread(rounds.iter().map(|r| r.0).collect());
                let (b, b0, b1) = spread(rounds.iter().map(|r| r.1).collect());
                let (r, r0, r1) = spread(rounds.iter().map(|r| r.1 / r.0).collect());
                println!(
                    "{size:5}  {frames:6}  {which:6}  {a:6.0} ({a0:.0}–{a1:.0})   {b:6.0} ({b0:.0}–{b1:.0})   {r:.2} ({r0:.2}–{r1:.2})"
                );
            }
        }
    }
}
