//! What mail between shards costs: `Mailroom` to `Mailbox`, singly and in batches: `cargo bench -p longwire-micro --bench mailbox`.
//!
//! The element rate is mails per second. "one thread" is the work alone, without a line of cache that changes hands; "two
//! threads" is one thread that posts turn after turn and one that takes, neither of which ever sleeps, so it wants two free cores.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use longwire::chat::Mail;
use longwire::frame::{Frame, Frames};
use longwire::ids::{SessionId, ShardId, UserName};
use longwire::limits::{BATCH_MAILS, MAILBOX_BATCHES};
use longwire::metrics::Counters;
use longwire::shard::mailbox::{Address, Batch, Envelope, Mailbox, Mailroom};
use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

const ME: ShardId = ShardId(0);
const PEER: ShardId = ShardId(1);
/// Mails of one turn, and so of one batch.
const TURNS: [usize; 3] = [1, 32, BATCH_MAILS];

/// A private message for one user's sessions, as most mail is. A clone shares the frame's bytes, as a delivery does.
fn delivery() -> Mail {
    let to = UserName::new("alice").expect("a name");
    let sender = SessionId { shard: ME, index: 0, generation: 0 };
    let frames = Frames::of_all(|_| Frame::new(&[b'x'; 100]));
    Mail::Private { to: Some(to), from: None, sender, frames, ack: None }
}

/// The peer's box, and the mailroom that writes to it. (Nobody writes to the first address.)
fn boxes() -> (Mailbox, Mailroom) {
    let new = || -> (Mailbox, Address) { Mailbox::new().expect("an eventfd") };
    let ((_, mine), (mailbox, address)) = (new(), new());
    (mailbox, Mailroom::new(ME, vec![mine, address]))
}

fn turn(mailroom: &mut Mailroom, mail: &Mail, mails: usize, counters: &mut Counters) {
    for _ in 0..mails {
        mailroom.post(PEER, Envelope::Chat(mail.clone()), counters);
    }
    mailroom.flush(counters);
}

/// Empties the box and tells how many mails there were.
fn take(mailbox: &Mailbox, batches: &mut Vec<Batch>) -> u64 {
    let mut count = 0;
    mailbox.take(batches);
    for batch in batches.drain(..) {
        let Batch::Mails(_, mails) = batch else { continue };
        count += mails.len() as u64;
        mails.into_iter().for_each(|mail| drop(black_box(mail)));
    }
    count
}

fn one_thread(c: &mut Criterion) {
    let mut group = c.benchmark_group("mailbox, one thread");
    for mails in TURNS {
        group.throughput(Throughput::Elements(mails as u64));
        let (mailbox, mut mailroom) = boxes();
        let (mail, mut counters, mut batches) = (delivery(), Counters::default(), Vec::new());
        group.bench_function(BenchmarkId::from_parameter(mails), |b| {
            b.iter(|| {
                turn(&mut mailroom, &mail, mails, &mut counters);
                assert_eq!(take(&mailbox, &mut batches), mails as u64);
            });
        });
    }
    group.finish();
}

fn two_threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("mailbox, two threads");
    for mails in TURNS {
        group.throughput(Throughput::Elements(mails as u64));
        let (mailbox, mut mailroom) = boxes();
        let (taken, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let reader = thread::spawn({
            let (taken, over) = (Arc::clone(&taken), Arc::clone(&over));
            move || {
                let mut batches = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    taken.fetch_add(take(&mailbox, &mut batches), Ordering::Release);
                    spin_loop();
                }
            }
        });
        let (mail, mut counters, mut sent) = (delivery(), Counters::default(), 0);
        group.bench_function(BenchmarkId::from_parameter(mails), |b| {
            b.iter(|| {
                // Half a box at most is under way: a full one would spill, and that is another measurement.
                while sent - taken.load(Ordering::Acquire) > (MAILBOX_BATCHES * mails / 2) as u64 {
                    spin_loop();
                }
                turn(&mut mailroom, &mail, mails, &mut counters);
                sent += mails as u64;
            });
        });
        over.store(true, Ordering::Relaxed);
        reader.join().expect("the reader ends");
        assert_eq!(mailroom.spilled(), 0, "a spill was measured as mail");
    }
    group.finish();
}

criterion_group!(benches, one_thread, two_threads);
criterion_main!(benches);
