//! The loop of one core: reap, read mail, handle, send, sleep. Knows neither the rules nor the protocol.

use super::host::{self, Bed};
use super::mailbox::{Doorbell, Mailbox};
use super::spin::Spin;
use crate::clock::{Clock, Now};
use crate::metrics::{Counter, Histogram};
use crate::net::plane::{Handler, Plane};
use std::io;
use std::time::Instant;

/// A busy loop lets the executor's other tasks run this often (ms).
const BREATHE_MS: u64 = 10;
/// The longest nap (ms): glommio's own tasks wait no longer than this, and an idle shard naps once before it sleeps.
const NAP_MS: u64 = 10;

/// What runs on a core, above the plane.
pub trait App: Handler {
    /// The time of this turn, before anything else in it.
    fn begin(&mut self, now: Now);

    /// Reads the mail; true if there was any. Mail comes before completions: what a shard said before a client
    /// acted on it is known before that client's next command.
    fn read_mail(&mut self, net: &mut Plane, mailbox: &Mailbox) -> bool;

    /// Whatever is to be done once a turn; true if there is more to do at once.
    fn turn(&mut self, net: &mut Plane) -> bool;

    /// Uptime (ms) at which there is something to do, whatever happens until then.
    fn wake_by(&self) -> Option<u64>;

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
    let mut drowsy = false;
    loop {
        let start = Instant::now();
        let now = clock.now();
        app.begin(now);
        net.begin(now.uptime);
        net.reap(&mut completions, &mut scratch)?;
        let mut busy = !completions.is_empty();
        busy |= app.read_mail(&mut net, &mailbox);
        net.dispatch(&mut app, &mut completions);
        net.tick();
        busy |= app.turn(&mut net);
        net.flush();
        if app.is_finished(&net) {
            return Ok(());
        }
        if busy {
            drowsy = false;
            net.histograms.took(Histogram::Turn, start.elapsed(), 1);
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
        let asleep = Instant::now();
        if !drowsy && net.can_nap() {
            drowsy = nap(&mut net, bell, app.wake_by(), now.uptime)?;
        } else {
            net.arm_timer(app.wake_by());
            net.listen_for_events(true);
            bell.park();
            // Submits the timer; what came in between ends the sleep before it begins.
            net.reap(&mut completions, &mut scratch)?;
            if completions.is_empty() && !net.is_ready() && !bell.has_mail() {
                net.counters.count(Counter::Parks);
                bed.sleep().await?;
            }
            bell.wake();
            net.listen_for_events(false);
        }
        spin.slept(asleep.elapsed());
    }
}

/// Sleeps in the ring for a little: cheaper than through the executor, whose other tasks wait meanwhile. True when nothing
/// happened, and a real sleep is due.
fn nap(net: &mut Plane, bell: &Doorbell, wake_by: Option<u64>, uptime: u64) -> io::Result<bool> {
    let deadline = [net.next_deadline(), wake_by].into_iter().flatten().min();
    let left = deadline.map_or(NAP_MS, |at| at.saturating_sub(uptime).clamp(1, NAP_MS));
    bell.nap();
    if !bell.has_mail() {
        net.counters.count(Counter::Naps);
        net.nap(left)?;
    }
    bell.wake();
    Ok(!net.is_ready() && !bell.has_mail())
}
