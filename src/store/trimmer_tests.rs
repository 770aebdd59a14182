//! What is over the bounds is trimmed, and its room on the disk comes back.

use super::tests::{config, message, names, opened};
use super::*;
use crate::ids::{PartitionId, Seq};
use crate::log::Record;
use std::time::Instant;

const PATIENCE: Duration = Duration::from_secs(60);
/// Messages of 2000 bytes.
const MESSAGES: u64 = 6000;

#[test]
fn the_room_of_what_went_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let retention = Retention { max_age: Duration::ZERO, max_bytes: 400 << 10 };
    let config = Config { retention, ..config(folder.path()) };
    let (store, mut shards, _) = opened(&config, 1);
    let shard = &mut shards[0];
    for chunk in 0..MESSAGES / 500 {
        for seq in chunk * 500 + 1..=(chunk + 1) * 500 {
            shard.port.append(PartitionId(7), &message(1, seq)).unwrap();
        }
        shard.outcomes(500);
    }
    let (_, _, conversation) = names(1);
    let (begun, mut answers, mut first) = (Instant::now(), Vec::new(), Seq(0));
    while store.watch().levels().sweeps == 0 {
        shard.port.answers(&mut answers);
        for answer in answers.drain(..) {
            let Answer::Trim(named, to) = answer else { panic!("{answer:?}") };
            assert_eq!(named, conversation);
            first = first.max(to);
            shard.port.append(PartitionId(7), &Record::Trim { conversation: named, first }).unwrap();
            shard.outcomes(1);
        }
        assert!(begun.elapsed() < PATIENCE, "{:?}", store.watch().levels());
        std::thread::sleep(Duration::from_millis(5));
    }
    let levels = store.watch().levels();
    assert!(levels.trims > 0 && levels.trimmed_messages > MESSAGES * 9 / 10, "{levels:?}");
    let kept = shard.page(&conversation);
    assert_eq!((kept[0], kept.last()), (first.0, Some(&MESSAGES)));
    assert!((150..=210).contains(&kept.len()), "{}", kept.len());
    drop(shards);
    drop(store);
    let stopped = Stopped::open(folder.path()).unwrap();
    assert_eq!(check(&stopped, &mut |_, _| {}).faults, []);
    let gone = stopped.view().unwrap().gone().unwrap();
    assert!(gone < 4 << 20, "{gone} bytes are still to go");
    let counted = stats(&stopped, &mut |_, _| {}).unwrap();
    assert_eq!(counted.messages, kept.len() as u64);
}
