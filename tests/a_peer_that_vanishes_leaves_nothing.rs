//! A peer that vanishes, at any step from connect to the last word, politely or not, leaves nothing that the server holds for a
//! connection: no slot, descriptor, buffer, queue, session, move to another shard, or place of its address.

mod common;

use common::raw::{BINARY, CLOSE, CONTINUE, PING, Raw, TEXT, UPGRADE, auth, frame, text};
use common::{TestServer, proto};
use longwire::metrics::{Counter, Gauge};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use socket2::{Domain, SockRef, Socket, Type};
use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const SHARDS: u16 = 4;
const ROUNDS: u16 = 8;
/// Connections of the random test, and how many are there at a time.
const RANDOM: usize = 1500;
const AT_A_TIME: usize = 12;

/// How a peer goes.
#[derive(Clone, Copy, Debug)]
enum Exit {
    /// The end of its stream.
    End,
    /// A reset, with whatever the server has still to say.
    Reset,
    /// The end of what it says; it goes when the server has ended too.
    Half,
}

const EXITS: [Exit; 3] = [Exit::End, Exit::Reset, Exit::Half];

fn vanish(mut raw: Raw, exit: Exit) {
    match exit {
        Exit::End => {}
        Exit::Reset => {
            SockRef::from(&raw.stream).set_linger(Some(Duration::ZERO)).expect("a reset");
        }
        Exit::Half => {
            // A server that was faster has reset it.
            let _ = raw.stream.shutdown(Shutdown::Write);
            while !raw.is_at_end() {
                raw.discard();
            }
        }
    }
    drop(raw);
}

/// What peers say before they go, by step: accept, head, upgrade, sign-in, hand-over, live, close.
fn steps(user: &str, group: &str) -> Vec<Vec<u8>> {
    let (head, auth) = (UPGRADE.as_bytes(), auth(user));
    let join = text(&json!({"type": "joinGroup", "group": group}));
    let message = text(&json!({"type": "message", "group": group, "message": "x".repeat(3000), "id": "1"}));
    let close = frame(CLOSE, &1000u16.to_be_bytes());
    let false_token = UPGRADE.replacen("GET /", "GET /?token=x", 1);
    vec![
        Vec::new(),
        head[..head.len() / 2].to_vec(),
        head.to_vec(),
        false_token.into_bytes(),
        [head, &auth[..auth.len() / 2]].concat(),
        [head, &auth].concat(),
        [head, &frame(PING, b"?"), &auth, &auth].concat(),
        [head, &auth, &join, &message].concat(),
        [head, &auth, &join[..join.len() / 2]].concat(),
        [head, &auth, &frame(TEXT & !0x80, b"{"), &frame(CONTINUE & !0x80, b"")].concat(),
        [head, &auth, &close].concat(),
        [head, &auth, &join, &close[..3]].concat(),
        [head, &close].concat(),
        [head, &frame(BINARY, &proto::auth(user))].concat(),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
    ]
}

/// One test at a time: they count the descriptors of this process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Descriptors of this process, once the server has opened its own.
fn descriptors(server: &TestServer) -> usize {
    (0..SHARDS).for_each(|shard| server.sign_in(&server.user_on(shard, 9)).expect_nothing());
    server.wait_until_nothing_is_held();
    fs::read_dir("/proc/self/fd").expect("a list of descriptors").count()
}

#[test]
fn a_peer_that_vanishes_leaves_nothing() {
    let _alone = alone();
    let server = TestServer::chat(usize::from(SHARDS), &[]);
    let (mut accepted, before) = (u64::from(SHARDS), descriptors(&server));
    for round in 0..ROUNDS {
        let (user, group) = (server.user_on(round % SHARDS, 0), server.group_on(round / 2 % SHARDS, 0));
        for exit in EXITS {
            for (n, step) in steps(&user, &group).iter().enumerate() {
                let mut raw = Raw::over(server.tcp());
                raw.write(step);
                // With and without waiting for what the server says to it.
                if n >= 2 && round % 2 == 0 {
                    raw.expect_head();
                }
                // Half a connection says nothing more, and may be given the time to sign in.
                if n >= 2 || !matches!(exit, Exit::Half) {
                    vanish(raw, exit);
                }
                accepted += 1;
            }
        }
    }
    server.wait_until("everybody was accepted", |server| server.count(Counter::Accepted) == accepted);
    server.wait_until_nothing_is_held();
    assert_eq!(descriptors(&server), before);
    // Those who came as far as joining are members still; nobody else is known.
    assert!(server.level(Gauge::Users) <= u64::from(SHARDS));
    server.sign_in(&server.user_on(0, 1)).expect_nothing();
}

/// Says a part of what it would say, in pieces of any size, beside others, and goes at any moment; with the connections counted
/// by address, which are accepted in another way.
#[test]
fn many_who_vanish_anywhere_leave_nothing() {
    let _alone = alone();
    let seed =
        std::env::var("VANISH_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("a seed"));
    println!("VANISH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for settings in [&[][..], &[("client.address_connection_limit", "1000")]] {
        let server = TestServer::chat(usize::from(SHARDS), settings);
        let users: Vec<String> = (0..2 * SHARDS).map(|n| server.user_on(n % SHARDS, n.into())).collect();
        let (before, mut accepted) = (descriptors(&server), 0);
        let mut open: Vec<(Raw, Vec<u8>)> = Vec::new();
        while accepted < RANDOM || !open.is_empty() {
            if accepted < RANDOM && open.len() < AT_A_TIME {
                let user = &users[random.random_range(0..users.len())];
                let mut all = steps(user, "g");
                let step = all.swap_remove(random.random_range(0..all.len()));
                let cut = random.random_range(0..=step.len());
                open.push((Raw::over(server.tcp()), step[..cut].to_vec()));
                accepted += 1;
            }
            let at = random.random_range(0..open.len());
            let (raw, rest) = &mut open[at];
            if rest.is_empty() {
                let exit = if random.random() { Exit::End } else { Exit::Reset };
                vanish(open.swap_remove(at).0, exit);
                continue;
            }
            let piece = random.random_range(1..=rest.len());
            if raw.stream.write_all(&rest[..piece]).is_err() {
                rest.clear();
            } else {
                rest.drain(..piece);
            }
        }
        server.wait_until("everybody was accepted", |server| {
            server.count(Counter::Accepted) == u64::from(SHARDS) + accepted as u64
        });
        server.wait_until_nothing_is_held();
        assert_eq!(descriptors(&server), before);
    }
}

/// It signs in while the kernel takes no more of its pongs: the move to its user's home waits for them, and it goes meanwhile.
#[test]
fn a_move_that_waits_is_forgotten_with_its_connection() {
    let _alone = alone();
    let server = TestServer::chat(2, &[("client.auth_timeout", "1m"), ("rate.connection_messages", "0")]);
    for exit in [Exit::End, Exit::Reset] {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        socket.connect(&server.address().into()).expect("the server accepts");
        let mut raw = Raw::over(socket.into());
        raw.write(UPGRADE.as_bytes());
        raw.expect_upgrade();
        let by = server.snapshots().iter().position(|snapshot| snapshot.gauges.get(Gauge::Connections) == 1);
        let mut received = server.count(Counter::FramesReceived);
        let mut stuck = false;
        while !stuck {
            raw.write(&frame(PING, &[b'x'; 125]).repeat(100));
            received += 100;
            server.wait_until("they are read", |server| server.count(Counter::FramesReceived) == received);
            let sent = server.count(Counter::BytesSent);
            stuck = (0..20).all(|_| server.level(Gauge::SendingBytes) > 0)
                && server.count(Counter::BytesSent) == sent;
        }
        raw.write(&auth(&server.user_on(u16::from(by == Some(0)), 0)));
        server.wait_until("it waits to move", |server| server.level(Gauge::Moves) == 1);
        vanish(raw, exit);
        server.wait_until_nothing_is_held();
    }
}

#[test]
fn slots_come_back_whoever_vanishes() {
    let _alone = alone();
    // 14 places on each of two shards, and far more peers than that.
    let server = TestServer::small(2, 20);
    for round in 0..100u16 {
        let user = server.user_on(round % 2, 0);
        let mut raw = Raw::over(server.tcp());
        raw.write(&[UPGRADE.as_bytes(), &auth(&user)].concat());
        if round % 3 == 0 {
            raw.expect_upgrade();
        }
        vanish(raw, if round % 4 < 2 { Exit::End } else { Exit::Reset });
        server.wait_until("its place is free", |server| server.level(Gauge::Connections) == 0);
    }
    assert_eq!(server.count(Counter::HandOverFailed), 0, "a place was never given back");
    server.wait_until_nothing_is_held();
}
