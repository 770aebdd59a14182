//! The floor under every figure here: a bare TCP echo on the ring that Longwire itself runs on, one thread, no WebSocket.
//!
//! Its loop is a shard's: one turn of the ring, one send per connection and turn, the same short spin before a sleep. What
//! Longwire costs above it is frames, chat and mail. No limits on senders: it is here to be measured against, not to be used.

mod echo;

use clap::Parser;
use echo::Echo;
use longwire::limits::RECV_BUFFERS_MAX;
use longwire::net::listen::Listener;
use longwire::net::ring::{Gate, Ring};
use longwire::shard::spin::Spin;
use rustix::event::{EventfdFlags, eventfd};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// How long the ring is looked at before it is slept in, as `shard.spin = "50us"` has it.
const SPIN: Duration = Duration::from_micros(50);
/// Milliseconds that a sleep lasts at most.
const NAP_MS: u64 = 1000;

/// Every byte back to its sender, on bare TCP.
#[derive(Debug, Clone, Copy, Parser)]
struct Options {
    /// Address; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Connections at most
    #[arg(long, default_value_t = 20_000)]
    connections: u32,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let listener = Listener::bind(options.listen)?;
    // The ring tells it of completions only while it is asked to, which is never: this thread sleeps in the ring.
    let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
    let mut ring = Ring::new(options.connections, RECV_BUFFERS_MAX, bell.as_raw_fd())?;
    ring.accept(listener.as_raw_fd(), Gate::default());
    println!("tcp://{}", listener.endpoint().place);

    let mut echo = Echo::default();
    let mut completions = Vec::new();
    let mut spin = Spin::new(SPIN);
    loop {
        ring.turn(&mut completions)?;
        if completions.is_empty() {
            if !ring.is_ready() && !spin.wait(|| ring.is_ready()) {
                let asleep = Instant::now();
                ring.wait(NAP_MS)?;
                spin.slept(asleep.elapsed());
            }
            continue;
        }
        for completion in completions.drain(..) {
            echo.handle(&mut ring, completion, listener.as_raw_fd());
        }
        echo.flush(&mut ring);
    }
}
