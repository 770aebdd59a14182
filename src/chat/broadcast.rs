//! Messages to everyone: one at a time per server, run by one shard. Knows no conversation; nothing is stored.

use super::answer::BUSY;
use super::ask::Origin;
use super::mail::{BroadcastAsk, Mail};
use super::{Effects, Rules};
use crate::clock::Now;
use crate::frame::Frames;
use crate::ids::{SessionId, ShardId};
use crate::limits::BROADCAST_QUEUE;
use crate::metrics::Counter;
use crate::wire::{Event, Payload};
use std::collections::VecDeque;

/// The shard that runs broadcasts.
const RUNNER: ShardId = ShardId(0);

/// What the running shard knows.
#[derive(Debug, Default)]
pub(super) struct Broadcasts {
    queue: VecDeque<(SessionId, Frames)>,
    /// Shards that have not finished the present one.
    running: u16,
}

impl Rules {
    /// A session's message to everyone, allowed already.
    pub(super) fn say_to_everyone<E: Effects>(
        &mut self,
        origin: Origin,
        payload: Payload<'_>,
        now: Now,
        fx: &mut E,
    ) {
        if self.config.shard == RUNNER {
            return self.accept_broadcast(&origin, payload, now, fx);
        }
        if !fx.accepts(RUNNER) {
            return self.refused(&origin, "message", BUSY, fx);
        }
        let ask = BroadcastAsk { origin, kind: payload.kind, bytes: payload.bytes.to_vec() };
        fx.mail(RUNNER, Mail::Broadcast(Box::new(ask)));
    }

    /// On the running shard: the ack says that it was accepted.
    pub(super) fn accept_broadcast<E: Effects>(
        &mut self,
        origin: &Origin,
        payload: Payload<'_>,
        now: Now,
        fx: &mut E,
    ) {
        if self.broadcasts.queue.len() >= BROADCAST_QUEUE {
            return self.refused(origin, "message", BUSY, fx);
        }
        if let Some(id) = origin.id.as_deref() {
            fx.count(Counter::Acked);
            self.reply(origin, &Event::BroadcastAck { id, time: now.wall }, fx);
        }
        let frames = fx.encode(&Event::Broadcast { from: &origin.user, payload, time: now.wall });
        self.broadcasts.queue.push_back((origin.session, frames));
        self.run_next(fx);
    }

    fn run_next<E: Effects>(&mut self, fx: &mut E) {
        if self.broadcasts.running > 0 {
            return;
        }
        let Some((sender, frames)) = self.broadcasts.queue.pop_front() else { return };
        self.broadcasts.running = self.config.router.shards();
        for shard in self.config.router.all().filter(|shard| *shard != RUNNER) {
            fx.mail(shard, Mail::BroadcastRun { sender, frames: frames.clone() });
        }
        self.sweep_broadcast(sender, frames);
    }

    /// Every session of this shard has it.
    pub(super) fn broadcast_swept<E: Effects>(&mut self, fx: &mut E) {
        if self.config.shard == RUNNER {
            self.broadcast_done(fx);
        } else {
            fx.mail(RUNNER, Mail::BroadcastDone);
        }
    }

    /// On the running shard: one more shard has finished.
    pub(super) fn broadcast_done<E: Effects>(&mut self, fx: &mut E) {
        self.broadcasts.running = self.broadcasts.running.saturating_sub(1);
        self.run_next(fx);
    }
}
