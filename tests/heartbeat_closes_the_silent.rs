//! A peer that says nothing for two heartbeats is closed with 3012, then and not a heartbeat later; one that answers pings stays, and
//! so does one that only says other things. Pings are spread evenly over the interval, whoever is there.

mod common;

use common::TestServer;
use common::desk::{Desk, config};
use common::raw::{Raw, TEXT, frame};
use longwire::ids::ConnId;
use longwire::meter::TICK_MS;
use longwire::metrics::{Counter, Gauge};
use longwire::net::plane::PlaneConfig;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::io::Write;
use std::net::TcpStream;
use tungstenite::Message;

/// Pings that a living client answers: the silent one is long gone by then.
const BEATS: usize = 4;

#[test]
fn heartbeat_closes_the_silent() {
    let server = TestServer::chat(4, &[("client.ping_interval", "500ms")]);
    let silent: Vec<_> = (0..4).map(|shard| Raw::sign_in(&server, &server.user_on(shard, 0))).collect();
    let mut living: Vec<_> = (0..4).map(|shard| server.sign_in(&server.user_on(shard, 1))).collect();
    let ends = silent.into_iter().map(|mut raw| std::thread::spawn(move || raw.expect_close().0));
    let ends: Vec<_> = ends.collect();
    let mut beats = vec![0; living.len()];
    while beats.iter().any(|beats| *beats < BEATS) {
        for (client, beats) in living.iter_mut().zip(&mut beats) {
            match client.socket.read().expect("it stays open") {
                Message::Ping(_) => *beats += 1,
                other => panic!("expected a ping, got {other:?}"),
            }
            client.socket.flush().expect("the pong leaves");
        }
    }
    for end in ends {
        assert_eq!(end.join().expect("the silent one is told"), 3012);
    }
    living.iter_mut().for_each(common::Client::expect_nothing);
    assert_eq!(server.count(Counter::ClosedNoPong), 4);
    server.wait_until("their sessions are gone", |server| server.sessions() == 4);
}

#[test]
fn any_byte_is_a_sign_of_life() {
    const INTERVAL: u64 = 1000;
    let mut desk = Desk::new(PlaneConfig { ping_interval: INTERVAL, ..config() }, 4, 16);
    let ((mut talks, who), (_silent, other)) = (desk.connect(), desk.connect());
    for n in 1..=20 {
        // Less than what counts as a standstill of the server's, and a frame for every three of them.
        for _ in 0..3 {
            desk.uptime += INTERVAL / 3;
            desk.turn();
        }
        talks.write_all(&frame(TEXT, b"hi")).expect("it takes bytes");
        desk.turn_until("it is heard", |desk| desk.tally.messages == n);
        assert!(desk.plane.is_talking(who), "it has answered no ping, but it talks");
    }
    assert!(!desk.plane.is_talking(other));
    assert_eq!(desk.plane.counters.get(Counter::ClosedNoPong), 1);
}

/// A beat of the tests below (ms), and how much of it passes between two turns at most.
const BEAT: u64 = 1600;
const STEP: u64 = 5;
/// Looks at each connection in one interval.
const LOOKS: u64 = 8;

fn seeded() -> StdRng {
    let seed =
        std::env::var("BEAT_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("a seed"));
    println!("BEAT_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

fn desk(connections: usize) -> Desk {
    Desk::new(PlaneConfig { ping_interval: BEAT, ..config() }, connections, 16)
}

fn say_something(desk: &mut Desk, client: &mut TcpStream) {
    let before = desk.tally.messages;
    client.write_all(&frame(TEXT, b"hi")).expect("it takes bytes");
    desk.turn_until("it is heard", |desk| desk.tally.messages > before);
}

#[test]
fn two_silent_intervals_are_two_and_not_three() {
    const CLIENTS: usize = 24;
    let mut random = seeded();
    let mut desk = desk(CLIENTS);
    let mut clients: Vec<(TcpStream, ConnId)> = (0..CLIENTS).map(|_| desk.connect()).collect();
    let speaks_at: Vec<u64> = (0..CLIENTS).map(|_| random.random_range(1..3 * BEAT / 2)).collect();
    let mut heard_at = [0; CLIENTS];
    let mut closed = 0;
    while closed < CLIENTS {
        desk.uptime += random.random_range(1..=STEP);
        desk.turn();
        for who in 0..CLIENTS {
            let (client, id) = &mut clients[who];
            if heard_at[who] == 0 && desk.uptime >= speaks_at[who] {
                say_something(&mut desk, client);
                heard_at[who] = desk.uptime;
            } else if heard_at[who] < u64::MAX && !desk.plane.is_talking(*id) {
                closed += 1;
                let silent = desk.uptime - heard_at[who];
                let most = 2 * BEAT + BEAT / LOOKS + 2 * TICK_MS + STEP;
                assert!((2 * BEAT..=most).contains(&silent), "closed after {silent} ms");
                heard_at[who] = u64::MAX;
            }
        }
    }
    assert_eq!(desk.plane.counters.get(Counter::ClosedNoPong), CLIENTS as u64);
}

#[test]
fn pings_are_spread_evenly() {
    const SLOTS: usize = 160;
    const SLICES: u64 = 16;
    const BEATS: u64 = 3;
    let mut random = seeded();
    let mut desk = desk(SLOTS);
    let mut clients: Vec<_> = (0..SLOTS).map(|_| desk.connect()).collect();
    clients.retain(|_| random.random_range(0..3) > 0);
    let there = clients.len();
    desk.turn_until("the others have gone", |desk| desk.level(Gauge::Connections) == there);
    let pings = |desk: &Desk| desk.plane.counters.get(Counter::PingsSent);
    let (start, first) = (desk.uptime, pings(&desk));
    for slice in 1..=BEATS * SLICES {
        let before = pings(&desk);
        while desk.uptime < start + slice * BEAT / SLICES {
            desk.uptime = (desk.uptime + random.random_range(1..=STEP)).min(start + slice * BEAT / SLICES);
            desk.turn();
        }
        let sent = pings(&desk) - before;
        assert!(sent <= SLOTS as u64 / SLICES + 1, "{sent} in one slice");
        if slice % SLICES == 0 {
            clients.iter_mut().for_each(|(client, _)| say_something(&mut desk, client));
        }
    }
    assert_eq!(pings(&desk) - first, BEATS * there as u64, "each is pinged once a beat");
}
