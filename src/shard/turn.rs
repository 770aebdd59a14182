//! The loop of one core: reap, read mail, handle, send, sleep. Knows neither the rules nor the protocol.

use super::host::{self, Bed};
use super::mailbox::Mailbox;
use super::spin::Spin;
use crate::clock::{Clock, Now};
use crate::metrics::{Counter, Histogram};
use crate::net::plane::{Handler, Plane};
use std::io;
use std::time::Instant;

/// A busy loop lets the executor's other tasks run this often (ms).
const BREATHE_MS: u64 = 10;

/// What runs on a core, above the plane.
pub trait App: Handler {
    /// The time of this turn, before anything else in it.
    fn begin(&mut self, now: Now);

    /// Reads the mail; true if there was any. Mail comes before completions: what a shard said before a client
    /// acted on it is known before that client's next command.
    fn read_mail(&mut self, net: &mut Plane, mailbox: &Mailbox) -> bool;

    /// Whatever is to be done once a turn; true if there is more to do at once.
    fn turn(&mut self, net: &mut Plane) -> bool;

    /// Uptime (ms) by which a shard that goes down ends, whoever has not closed yet.
    fn end_by(&self) -> Option<u64>;

    /// Whether the shard has come to its end.
    fn is_finished(&self, net: &Plane) -> bool;
}

/// Runs a core until its app is finished.
///
/// # Errors
/// When the kernel refuses a ring or the sleep.
pub async fn run<A: App>(
    mut net: Plane,
    mut app: A,
    mailbox: Mailbox,
    clock: Clock,
    mut spin: Spin,
) -> io::Result<()> {
    let bed = Bed::new(mailbox.bell().fd())?;
    let mut completions = Vec::new();
    let mut scratch = Vec::new();
    let mut breathe_at = 0;
    loop {
        let start = Instant::now();
        let now = clock.now();
        app.begin(now);
        net.reap(&mut completions, &mut scratch)?;
        let mut busy = !completions.is_empty();
        busy |= app.read_mail(&mut net, &mailbox);
        net.dispatch(&mut app, &mut completions, now.uptime);
        net.tick(now.uptime);
        busy |= app.turn(&mut net);
        net.flush();
        if app.is_finished(&net) {
            return Ok(());
        }
        if busy {
            net.histograms.since(Histogram::Turn, start, 1);
            if now.uptime >= breathe_at {
                breathe_at = now.uptime + BREATHE_MS;
                host::breathe().await;
            }
            continue;
        }
        let bell = mailbox.bell();
        if net.is_ready() || bell.has_mail() || spin.wait(|| net.is_ready() || bell.has_mail()) {
            continue;
        }
        net.arm_timer(app.end_by());
        net.listen_for_events(true);
        bell.park();
        // Submits the timer; what came in between ends the sleep before it begins.
        net.reap(&mut completions, &mut scratch)?;
        if completions.is_empty() && !net.is_ready() && !bell.has_mail() {
            let asleep = Instant::now();
            net.counters.count(Counter::Parks);
            bed.sleep().await?;
            spin.slept(asleep.elapsed());
        }
        bell.unpark();
        net.listen_for_events(false);
    }
}
