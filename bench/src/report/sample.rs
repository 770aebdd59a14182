//! Reports for tests: a run with everything, one with faults, an idle one, one of an hour, one with nothing.
use super::*;
use crate::procstat::Usage;

fn quantiles(count: u64, p50: f64) -> Quantiles {
    Quantiles {
        count,
        p50,
        p90: p50 * 1.5,
        p99: p50 * 3.0,
        p999: p50 * 9.0,
        p9999: p50 * 30.0,
        max: p50 * 88.0,
    }
}

fn curve(count: u64, p50: f64) -> Vec<CurvePoint> {
    let nines = (count as f64).log10();
    let point = |step: f64| {
        let quantile = 1.0 - 10_f64.powf(-step);
        let us = p50 * (0.6 + step) * 10_f64.powf((step - 1.0).max(0.0) * 0.35);
        CurvePoint { quantile, us, count: (quantile * count as f64).round() as u64 }
    };
    let last = CurvePoint { quantile: 1.0, us: point(nines).us * 1.1, count };
    (0..=100).map(|at| point(f64::from(at) * nines / 100.0)).chain([last]).collect()
}

fn course(seconds: u64, setup: u64, connections: u64, p50: f64) -> Course {
    let random = fastrand::Rng::with_seed;
    let bounds: Vec<f64> = (0..78).map(|tenth| 10_f64.powf(f64::from(tenth) / 10.0)).collect();
    let mut course =
        Course { heat: Heat { bounds: bounds.clone(), columns: Vec::new() }, ..Course::default() };
    let length = seconds.div_ceil(600);
    let setting_up = (0..setup).map(|at| (at as f64 - setup as f64, 1, connections * (at + 1) / setup));
    let loaded = (0..seconds / length).map(|at| ((at * length) as f64, length, connections));
    for (at, seconds, connected) in setting_up.chain(loaded) {
        let mut random = random(at.to_bits());
        let bad = at as u64 % 97 == 31;
        let p50 = p50 * (0.9 + 0.2 * random.f64()) * if bad { 6.0 } else { 1.0 };
        let sent = if at < 0.0 { 0 } else { 20_000 * seconds };
        let latency = (sent > 0).then(|| quantiles(sent, p50));
        if let Some(q) = latency {
            let count = |us: &f64| {
                let far = (us / q.p50).log10();
                let weight = if far < 0.0 { (-60.0 * far * far).exp() } else { 10_f64.powf(-2.0 * far) };
                if *us > q.max || far < -0.35 { 0 } else { (weight * sent as f64 * 0.3) as u64 }
            };
            course.heat.columns.push((at, bounds.iter().map(count).collect()));
        }
        course.moments.push(Moment {
            at,
            seconds: seconds as f64,
            connected,
            sent,
            delivered: sent,
            acked: sent,
            errors: u64::from(bad),
            heartbeats: connections / 25 * seconds,
            latency,
            lag: latency.map(|q| quantiles(sent, q.p50 / 40.0)),
            server_cpu: Some(if at < 0.0 { 55.0 } else { 30.0 + 5.0 * random.f64() }),
            generator_cpu: Some(if at < 0.0 { 40.0 } else { 24.0 + 3.0 * random.f64() }),
            server_rss: Some(12_000_000 + connected * 290),
            generator_rss: 9_000_000 + connected * 90,
            slab: 400_000_000 + connected * 8_300,
        });
    }
    let at = |connections: u64| MemoryAt {
        connections,
        server_rss: Some(12_000_000 + connections * 290),
        generator_rss: 9_000_000 + connections * 90,
        slab: 400_000_000 + connections * 8_300,
    };
    course.memory = Some(Memory {
        before: at(0),
        plateau: at(connections),
        after: MemoryAt { connections: 0, ..at(50) },
    });
    course.latency = curve(20_000 * seconds, p50);
    course.lag = curve(20_000 * seconds, p50 / 40.0);
    course.latency_centre = Some(Centre { mean_us: p50, deviation_us: p50, buckets: 26, sub_buckets: 2048 });
    course.server_counters =
        vec![("longwire_deliveries_total".into(), 1_200_000.0), ("rest_seconds".into(), 0.25)];
    course
}

/// Nothing but a heading.
pub(super) fn nothing() -> Report {
    Report {
        format: FORMAT,
        scenario: "pairs".into(),
        workload: "1000 users in pairs, 64 B payload, open loop, 20000/s, even gaps".into(),
        machine: "2 × Some CPU, Linux 6.18".into(),
        command: "longwire-bench pairs --spawn './longwire serve --dev --durability memory' --rate 20000"
            .into(),
        started: 1_800_000_000.0,
        version: "0.1.0".into(),
        interrupted: true,
        called_off: None,
        late: None,
        seconds: 0.0,
        sent: 0,
        in_time: None,
        deliveries: 0,
        acks: 0,
        bytes_sent: 0,
        bytes_received: 0,
        bytes_sent_per_message: None,
        bytes_received_per_delivery: None,
        packed: 0,
        unpacked: 0,
        deliveries_per_second: 0.0,
        server_cpu_us_per_delivery: None,
        server_cpu_us_per_frame: None,
        generator_cpu_us_per_delivery: None,
        saturated: Saturated::Unknown,
        server: None,
        generator: None,
        ring_enters_per_delivery: None,
        latency_us: None,
        ack_us: None,
        ack_gap_us: None,
        disk: None,
        lag_us: None,
        idle: None,
        disturbed: None,
        heartbeat: None,
        parts: Parts::default(),
        faults: Faults::default(),
        failed_connections: 0,
        failures: BTreeMap::new(),
        server_errors: 0,
        heartbeats: 0,
        handshakes: 0,
        resumed: 0,
        told_to_wait: 0,
        notes: Vec::new(),
        course: Course::default(),
    }
}

/// A good run of a minute.
pub(super) fn run() -> Report {
    of(60, 3, 1000)
}

fn of(seconds: u64, setup: u64, connections: u64) -> Report {
    let sent = 20_000 * seconds;
    let usage = |cpu: f64| Usage {
        seconds: seconds as f64,
        cpu: cpu * seconds as f64,
        waited: 0.4,
        switches: 90_000,
        rss: 12_300_000,
    };
    Report {
        interrupted: false,
        seconds: seconds as f64,
        sent,
        in_time: Some(sent),
        deliveries: sent,
        acks: sent,
        bytes_sent: 140 * sent,
        bytes_received: 260 * sent,
        bytes_sent_per_message: Some(140.0),
        bytes_received_per_delivery: Some(260.0),
        deliveries_per_second: 20_000.0,
        server_cpu_us_per_delivery: Some(8.25),
        server_cpu_us_per_frame: Some(4.5),
        generator_cpu_us_per_delivery: Some(5.5),
        saturated: Saturated::Neither,
        server: Some(usage(0.33)),
        generator: Some(usage(0.25)),
        ring_enters_per_delivery: Some(0.75),
        latency_us: Some(quantiles(sent, 82.5)),
        lag_us: Some(quantiles(sent, 2.0)),
        heartbeats: connections,
        course: course(seconds, setup, connections, 82.5),
        ..nothing()
    }
}

/// What a server may do and say that is wrong.
pub(super) fn faulty() -> Report {
    Report {
        faults: Faults { lost: 12, duplicated: 1, ..Faults::default() },
        failed_connections: 41,
        failures: [("closed with 1008".to_owned(), 40), ("reset".to_owned(), 1)].into(),
        server_errors: 7,
        late: Some("the generator sent late, by 12.300 ms at p99, which is 80 % of the latency's p99".into()),
        interrupted: true,
        notes: vec!["server: <script>alert('x')</script><img src=x onerror=alert(1)>&amp;".into()],
        ..run()
    }
}

/// An hour with a million connections.
pub(super) fn hour() -> Report {
    of(3600, 120, 1_000_000)
}

/// Connections at rest.
pub(super) fn idle() -> Report {
    let mut course = course(10, 8, 100_000, 82.5);
    course.heat = Heat::default();
    (course.latency, course.lag, course.latency_centre) = (Vec::new(), Vec::new(), None);
    for moment in &mut course.moments {
        (moment.sent, moment.delivered, moment.acked, moment.latency, moment.lag) = (0, 0, 0, None, None);
    }
    let part = IdlePart {
        connections: 100_000,
        rss_before: 12_000_000,
        rss_after: 41_000_000,
        bytes_per_connection: 290.0,
        bytes_per_connection_second_half: Some(288.0),
        setup_cpu_us_per_connection: Some(33.0),
        sign_in_only: false,
    };
    let heartbeat = HeartbeatPart::of((40_000, 10.0), (0.0, 10.0), &course.moments, run().server);
    let idle = Some(part);
    Report { scenario: "idle".into(), idle, heartbeat, course, server: run().server, ..nothing() }
}

/// All of them.
pub(super) fn all() -> [Report; 5] {
    [run(), faulty(), hour(), idle(), nothing()]
}
