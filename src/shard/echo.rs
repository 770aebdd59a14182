//! The echo server on one core: every message goes back as it came. The floor of measurements; knows no chat.

use super::control::Ask;
use super::mailbox::{Batch, Mailbox};
use super::turn::App;
use crate::clock::Now;
use crate::frame::{Class, Frame};
use crate::ids::{ConnId, ShardId};
use crate::limits::SCRATCH_KEPT;
use crate::metrics::Snapshot;
use crate::net::frame::{self, Opcode};
use crate::net::http::{HttpRules, UpgradeRequest};
use crate::net::plane::{Handler, Plane};

/// The echo server's part on one core.
#[derive(Debug)]
pub struct Echo {
    me: ShardId,
    http: HttpRules,
    now: Now,
    scratch: Vec<u8>,
    batches: Vec<Batch>,
    end_by: Option<u64>,
}

impl Echo {
    /// An echo server on shard `me`.
    pub fn new(me: ShardId, http: HttpRules, now: Now) -> Self {
        Self { me, http, now, scratch: Vec::new(), batches: Vec::new(), end_by: None }
    }
}

impl Handler for Echo {
    fn http_rules(&self) -> &HttpRules {
        &self.http
    }

    fn upgraded(&mut self, net: &mut Plane, conn: ConnId, _: &UpgradeRequest) {
        net.go_live(conn, 0);
    }

    fn message(&mut self, net: &mut Plane, conn: ConnId, text: bool, payload: &[u8]) {
        frame::begin(&mut self.scratch);
        self.scratch.extend_from_slice(payload);
        let frame = Frame::new(frame::finish(&mut self.scratch, Opcode::of_message(text)));
        net.send(conn, &frame, Class::Reply);
        if self.scratch.capacity() > SCRATCH_KEPT {
            self.scratch = Vec::new();
        }
    }
}

impl App for Echo {
    fn begin(&mut self, now: Now) {
        self.now = now;
    }

    fn read_mail(&mut self, net: &mut Plane, mailbox: &Mailbox) -> bool {
        mailbox.take(&mut self.batches);
        let busy = !self.batches.is_empty();
        for batch in self.batches.drain(..) {
            match batch {
                Batch::Ask(Ask::Snapshot(reply)) => {
                    let mut snapshot = Snapshot::empty(self.me);
                    snapshot.counters = net.counters.clone();
                    snapshot.histograms = net.histograms.clone();
                    net.gauges(&mut snapshot.gauges);
                    // The asker may have given up.
                    let _ = reply.try_send(snapshot);
                }
                Batch::Ask(Ask::SpeakTls(acceptor)) => net.speak_tls(acceptor),
                // Echo shards have nothing to say to each other.
                Batch::Mails(..) => {}
            }
        }
        if let Some(millis) = mailbox.bell().take_drain() {
            self.end_by = Some(self.now.uptime.saturating_add(millis));
            net.drain();
        }
        busy
    }

    fn turn(&mut self, net: &mut Plane) -> bool {
        net.take_notices();
        net.is_draining() && net.drain_slice()
    }

    fn wake_by(&self) -> Option<u64> {
        self.end_by
    }

    fn is_finished(&self, net: &Plane) -> bool {
        self.end_by.is_some_and(|end| net.is_empty() || self.now.uptime >= end)
    }
}
