//! Settings as each part of a shard has them: the plane, the upgrade, the rules. Knows no running shard.

use super::launch::{AppKind, Plan};
use crate::chat::{Config, Rates};
use crate::durability::Durability;
use crate::frame::ENCODINGS;
use crate::ids::{Seq, ShardId};
use crate::meter::Rate;
use crate::net::crowd::Crowd;
use crate::net::deflate;
use crate::net::http::HttpRules;
use crate::net::inbound::Limits;
use crate::net::plane::PlaneConfig;
use crate::route::Router;
use crate::wire;
use std::sync::Arc;
use std::time::Duration;

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn plane_config(plan: &Plan, crowd: Option<Arc<Crowd>>) -> PlaneConfig {
    let settings = &plan.settings;
    let echo = plan.app == AppKind::Echo;
    PlaneConfig {
        limits: Limits {
            message_max: settings.websocket_message_size_limit.get(),
            fragments_max: settings.websocket_fragments_limit as usize,
            deflate: false,
        },
        deflate: deflate::Config {
            level: settings.websocket_compression_level,
            min_size: settings.websocket_compression_min_size.get(),
        },
        ping_interval: millis(settings.client_ping_interval),
        sign_in_timeout: millis(settings.client_auth_timeout),
        // An echo has no log to fall back on: its budget must hold what a client may send before it reads.
        outbox_budget: if echo {
            2 * settings.websocket_message_size_limit.get()
        } else {
            settings.client_queue_max_size.get()
        },
        outboxes_budget: settings.client_queues_max_size.get() / plan.cores.len(),
        sign_in: !echo,
        handshakes: if echo { 0 } else { settings.rate_handshakes },
        tls_handshakes: if echo { 0 } else { settings.rate_tls_handshakes },
        head_timeout: millis(settings.client_head_timeout),
        crowd,
        trusted: settings.proxy_trusted.clone(),
        rate: if echo {
            Rate::NONE
        } else {
            Rate::per_second(settings.rate_connection_messages, settings.rate_connection_bytes.0)
        },
    }
}

pub(super) fn http_rules(plan: &Plan) -> HttpRules {
    static SUPPORTED: [&str; ENCODINGS] = subprotocols();
    let chat = plan.app == AppKind::Chat;
    HttpRules {
        allowed_origins: plan.settings.client_allowed_origins.clone(),
        dev: chat && plan.settings.server_dev,
        supported: if chat { &SUPPORTED } else { &[] },
        deflate: plan.settings.websocket_compression,
        head_max: plan.settings.client_head_size_limit.get(),
    }
}

/// What may be offered at the upgrade, in the order of [`wire::Encoding::ALL`].
const fn subprotocols() -> [&'static str; ENCODINGS] {
    let mut names = [""; ENCODINGS];
    let mut n = 0;
    while n < ENCODINGS {
        names[n] = wire::Encoding::ALL[n].subprotocol();
        n += 1;
    }
    names
}

pub(super) fn rules_config(plan: &Plan, shard: ShardId, router: Router, reserved: Option<Seq>) -> Config {
    let settings = &plan.settings;
    let cores = plan.cores.len();
    let stored = settings.store_durability != Durability::Memory;
    let share = |all: u32| (all as usize).div_ceil(cores);
    Config {
        shard,
        router,
        limits: wire::Limits {
            message_size: settings.message_size_limit.get() as u32,
            websocket_message_size: settings.websocket_message_size_limit.get() as u32,
        },
        heartbeat_ms: millis(settings.client_ping_interval),
        group_open: settings.groups_are_open(),
        group_event_max_members: settings.group_event_max_members,
        group_max_members: settings.group_max_members,
        groups_per_user: settings.group_user_limit,
        user_connection_limit: settings.client_user_connection_limit,
        fanout_slice: settings.chat_fanout_slice,
        idempotency_max_bytes: settings.idempotency_max_bytes.get() / cores,
        idempotency_window_ms: millis(settings.idempotency_window),
        active_conversations_max: share(settings.chat_active_conversations_max),
        users_max: share(settings.chat_users_max),
        memberships_stored: stored,
        message_size_limit: settings.message_size_limit.get(),
        seqs_reserved: reserved,
        queue_max_size: settings.client_queue_max_size.get(),
        heads_max_bytes: settings.store_heads_max_bytes.get() / cores,
        tails_max_bytes: if stored { settings.store_tails_max_bytes.get() / cores } else { 0 },
        rates: Rates {
            commands: Rate::per_second(settings.rate_user_messages, settings.rate_user_bytes.0),
            begun: Rate::per_hour(settings.rate_user_new),
        },
    }
}
