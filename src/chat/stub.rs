//! stub
#![allow(missing_docs, unused_variables)]
use super::*;
use crate::{claims::Claims, clock::Now, ids::*, route::Router, wire::{self, *}, view::*, log::Outcome};
#[derive(Debug)]
pub struct Config { pub shard: ShardId, pub router: Router, pub limits: wire::Limits, pub heartbeat_ms: u64, pub group_open: bool, pub group_event_max_members: u32, pub group_max_members: u32, pub groups_per_user: u32, pub user_connection_limit: u32, pub fanout_slice: u32, pub idempotency_max_bytes: usize, pub idempotency_window_ms: u64, pub active_conversations_max: usize, pub users_max: usize, pub message_size_limit: usize }
#[derive(Debug)]
pub struct Rules;
pub struct G { pub sessions: usize, pub users: usize, pub conversations: usize, pub fanout_jobs: usize }
impl Rules {
  pub fn new(config: Config, now: Now) -> Self { Self }
  pub fn sign_in(&mut self, conn: ConnId, encoding: Encoding, claims: Claims, device: Option<DeviceName>, id: Option<&str>, now: Now, fx: &mut impl Effects) -> Option<SessionId> { None }
  pub fn refresh(&mut self, session: SessionId, claims: Claims, id: Option<&str>, now: Now, fx: &mut impl Effects) {}
  pub fn command(&mut self, session: SessionId, request: Request<'_>, now: Now, fx: &mut impl Effects) {}
  pub fn closed(&mut self, session: SessionId, now: Now, fx: &mut impl Effects) {}
  pub fn mail(&mut self, from: ShardId, mail: Mail, now: Now, fx: &mut impl Effects) {}
  pub fn outcome(&mut self, outcome: Outcome, now: Now, fx: &mut impl Effects) {}
  pub fn activated(&mut self, c: ConversationId, a: Activation, now: Now, fx: &mut impl Effects) {}
  pub fn page(&mut self, read: ReadId, page: Page, now: Now, fx: &mut impl Effects) {}
  pub fn turn(&mut self, now: Now, fx: &mut impl Effects) -> bool { false }
  pub fn expiry(&mut self, session: SessionId, now: Now, fx: &mut impl Effects) {}
  pub fn resync(&mut self, session: SessionId, fx: &mut impl Effects) {}
  pub fn missed(&mut self) {}
  pub fn gauges(&self) -> G { G { sessions:0, users:0, conversations:0, fanout_jobs:0 } }
  pub fn invariants(&self) {}
}
