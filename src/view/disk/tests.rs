//! The view on disk says what the one in memory says, however often it is opened and whatever is applied twice.

use super::*;
use crate::ids::{CommandId, Millis};
use crate::limits::APPLY_BYTES;
use crate::view::{Ids, Known, Printer, View, memory::MemoryView};
use crate::wire::{PayloadKind, Target};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use siphasher::sip128::SipHasher13;

const CACHE: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

fn user(n: u64) -> UserName {
    UserName::new(&format!("user{n}")).unwrap()
}

fn group(n: u64) -> GroupName {
    GroupName::new(&format!("group{n}")).unwrap()
}

/// Random records as a sequencer gives them: `seq` grows in each conversation, `prev` is the one before.
struct Sequencer {
    random: StdRng,
    heads: std::collections::BTreeMap<ConversationId, Seq>,
    firsts: std::collections::BTreeMap<ConversationId, Seq>,
    /// The heads of what was deleted.
    gone: std::collections::BTreeMap<ConversationId, Seq>,
}

impl Sequencer {
    fn new(seed: u64) -> Self {
        println!("seed {seed}");
        Self {
            random: StdRng::seed_from_u64(seed),
            heads: Default::default(),
            firsts: Default::default(),
            gone: Default::default(),
        }
    }

    fn next(&mut self) -> Record {
        let from = user(self.random.random_range(0..4));
        if self.random.random_ratio(1, 5) {
            let (group, joined) = (group(self.random.random_range(0..3)), self.random.random_ratio(2, 3));
            return Record::Member { group, user: from, joined, seq: Seq(self.random.random_range(0..9)) };
        }
        let nth = self.random.random_range(0..100);
        if let Some((conversation, head)) = self.heads.iter().nth(nth) {
            // Some who take no part: the view does not ask.
            let received = Seq(self.random.random_range(0..=head.0));
            let read = Seq(self.random.random_range(0..=received.0));
            return Record::Cursor { conversation: conversation.clone(), user: from, received, read };
        }
        let nth = self.random.random_range(0..200);
        if let Some((conversation, head)) = self.heads.iter().nth(nth) {
            let first = self.firsts.entry(conversation.clone()).or_default();
            *first = Seq(self.random.random_range(first.0..=head.0 + 1));
            let (conversation, first) = (conversation.clone(), *first);
            if self.random.random_ratio(2, 3) {
                return Record::Trim { conversation, first };
            }
            let first = Seq(self.heads[&conversation].0 + 1);
            // The next message is the first again, and has a number above all before.
            self.gone.insert(conversation.clone(), self.heads.remove(&conversation).unwrap());
            self.firsts.insert(conversation.clone(), first);
            return Record::Delete { conversation, first };
        }
        let target = match self.random.random_range(0..7) {
            n @ 0..4 => Target::User(user(n)),
            n => Target::Group(group(n - 4)),
        };
        let conversation = match &target {
            Target::User(to) => ConversationId::private(&from, to),
            Target::Group(group) => ConversationId::group(group),
            Target::Everyone => unreachable!("nobody sends to everyone here"),
        };
        let head = self.heads.entry(conversation.clone()).or_default();
        let prev = *head;
        let above = self.gone.get(&conversation).copied().unwrap_or_default().max(*head);
        *head = Seq(above.0 + self.random.random_range(1..4));
        let id = self.random.random_ratio(1, 2).then(|| CommandId::new(&format!("id{}", head.0)).unwrap());
        let bytes = (0..self.random.random_range(0..400)).map(|_| self.random.random()).collect();
        Record::Message(Arc::new(MessageRecord {
            seq: *head,
            conversation,
            prev,
            time: Millis(head.0),
            from,
            target,
            id,
            kind: PayloadKind::Bytes,
            bytes,
        }))
    }
}

fn conversations() -> Vec<ConversationId> {
    let pairs = (0..4).flat_map(|a| (a..4).map(move |b| ConversationId::private(&user(a), &user(b))));
    pairs.chain((0..3).map(|n| ConversationId::group(&group(n)))).collect()
}

fn recall(random: &mut StdRng) -> Recall {
    let mut seq = || random.random_ratio(1, 2).then(|| Seq(random.random_range(0..60)));
    let (from, upto) = (seq(), seq());
    let printer = Printer::new(SipHasher13::new_with_key(&[3; 16]));
    let (since, most) = (Millis(random.random_range(0..60)), random.random_range(0..60));
    Recall { from, ids: Some(Wanted { printer, upto, since, most }) }
}

fn known(ids: Option<&Ids>) -> Vec<Known> {
    let mut known: Vec<Known> = ids.into_iter().flat_map(|ids| ids.iter().copied()).collect();
    known.sort_unstable_by_key(|known| known.seq);
    known
}

fn says_the_same(disk: &DiskView, memory: &MemoryView, random: &mut StdRng) {
    assert_eq!(disk.applied().unwrap(), memory.applied());
    for conversation in conversations() {
        let recall = recall(random);
        let (found, expected) = (
            disk.activate(&conversation, &recall, Durability::Memory).unwrap(),
            memory.activate(&conversation, &recall),
        );
        assert_eq!((found.head, found.first), (expected.head, expected.first), "{conversation}");
        assert_eq!(found.members, expected.members, "{conversation}");
        assert_eq!(
            (found.stored, found.looked),
            (expected.stored, expected.looked),
            "{conversation} {recall:?}"
        );
        assert_eq!(known(found.ids.as_deref()), known(expected.ids.as_deref()), "{conversation} {recall:?}");
        for _ in 0..8 {
            let mut bound = || random.random_ratio(1, 2).then(|| Seq(random.random_range(0..60)));
            let (before, after) = (bound(), bound());
            let (limit, bytes) = (random.random_range(1..9), random.random_range(1..3000));
            let range = Range { before, after, limit, bytes };
            let (found, expected) =
                (disk.read(&conversation, range).unwrap(), memory.read(&conversation, range));
            assert_eq!(found.messages, expected.messages, "{conversation} {range:?}");
            assert_eq!(
                (found.first, found.more),
                (expected.first, expected.more),
                "{conversation} {range:?}"
            );
        }
    }
    for u in 0..4 {
        let mut look = |conversation| {
            let mut some = |most| Seq(random.random_range(0..most));
            let cursor = Cursor::default().further(Cursor { received: some(20), read: some(10) });
            let after = Some(some(60)).filter(|after| after.0 > 15);
            Look { conversation, after, cursor }
        };
        let looks = conversations().into_iter().map(&mut look).collect();
        let looks = Looks { user: user(u), looks, bytes: random.random_range(0..40_000) };
        let (found, expected) = (disk.survey(&looks).unwrap(), memory.survey(&looks));
        for ((look, found), expected) in looks.looks.iter().zip(found).zip(expected) {
            assert_eq!(found, expected, "user{u} {look:?}");
        }
    }
    for (g, u) in (0..3).flat_map(|g| (0..4).map(move |u| (g, u))) {
        let (group, user) = (group(g), user(u));
        let is_in = memory.is_member(&group, &user);
        assert_eq!(disk.is_member(&group, &user).unwrap(), is_in);
        assert_eq!(disk.groups_of(&user).unwrap().iter().any(|(found, _)| *found == group), is_in);
    }
}

#[test]
fn it_says_what_the_view_in_memory_says() {
    let folder = tempfile::tempdir().unwrap();
    let seed = rand::rng().random();
    let mut sequencer = Sequencer::new(seed);
    let mut memory = MemoryView::new(64 << 20);
    let mut disk = DiskView::open(folder.path(), CACHE).unwrap();
    let mut records: Vec<Record> = Vec::new();
    for _ in 0..12 {
        let done = records.len();
        records.extend((0..sequencer.random.random_range(1..60)).map(|_| sequencer.next()));
        for (n, record) in records.iter().enumerate().skip(done) {
            memory.apply(Position(n as u64 + 1), record);
        }
        // Some that were applied before come again, as after a kill.
        let from = sequencer.random.random_range(0..=done);
        let mut applying = disk.applying().unwrap();
        for (n, record) in records.iter().enumerate().skip(from) {
            applying.apply(Position(n as u64 + 1), record);
        }
        assert_eq!(applying.commit().unwrap(), memory.applied());
        if sequencer.random.random_ratio(1, 3) {
            assert_eq!(disk.persist().unwrap(), memory.applied());
            if sequencer.random.random() {
                disk.messages.rotate_memtable_and_wait().unwrap();
                disk.messages.major_compact().unwrap();
            }
            if sequencer.random.random() {
                disk.rest(PATIENCE).unwrap();
                assert_eq!(disk.db.write_buffer_size(), 0, "what was put away is in tables");
            }
            drop(disk);
            disk = DiskView::open(folder.path(), CACHE).unwrap();
        }
        says_the_same(&disk, &memory, &mut sequencer.random);
    }
}

#[test]
fn a_private_conversation_is_found_from_either_side() {
    let folder = tempfile::tempdir().unwrap();
    let disk = DiskView::open(folder.path(), CACHE).unwrap();
    let mut sequencer = Sequencer::new(5);
    let mut applying = disk.applying().unwrap();
    for position in 1..200 {
        applying.apply(Position(position), &sequencer.next());
    }
    applying.commit().unwrap();
    for conversation in sequencer.heads.into_keys() {
        let Parties::Private(a, b) = conversation.parties() else { continue };
        for user in [a, b] {
            let found = disk.privates_of(&UserName::new(user).unwrap()).unwrap();
            assert!(found.contains(&conversation), "{user}: {found:?}");
        }
    }
}

/// Messages of one conversation, as a sequencer numbers them.
fn messages(conversation: &ConversationId, seqs: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    let message = |seq: u64| MessageRecord {
        conversation: conversation.clone(),
        seq: Seq(seq),
        prev: Seq(seq - 1),
        time: Millis(seq),
        from: user(1),
        target: Target::User(user(2)),
        id: None,
        kind: PayloadKind::Bytes,
        bytes: (0..512u64).map(|n| (seq.wrapping_mul(n + 7) >> 3) as u8).collect(),
    };
    seqs.map(|seq| Record::Message(Arc::new(message(seq)))).collect()
}

fn apply(disk: &DiskView, records: &[Record]) {
    let mut applying = disk.applying().unwrap();
    let applied = applying.applied.0;
    for (position, record) in (applied + 1..).zip(records) {
        applying.apply(Position(position), record);
    }
    applying.commit().unwrap();
}

#[test]
fn a_conversation_ends_and_begins_anew_among_records_that_are_applied_together() {
    let folder = tempfile::tempdir().unwrap();
    let disk = DiskView::open(folder.path(), CACHE).unwrap();
    let conversation = ConversationId::private(&user(1), &user(2));
    let head = || disk.head(&disk.db.snapshot(), &conversation).unwrap();
    let delete = Record::Delete { conversation: conversation.clone(), first: Seq(4) };
    let mut records = messages(&conversation, 1..=3);
    records.push(delete);
    records.extend(messages(&conversation, 4..=5));
    apply(&disk, &records);
    assert_eq!(head(), Seq(5));
    let mut records = messages(&conversation, 6..=7);
    records.push(Record::Delete { conversation: conversation.clone(), first: Seq(8) });
    apply(&disk, &records);
    assert_eq!(head(), Seq(0));
}

#[test]
fn what_is_in_memory_only_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    // Sizes are those that a store was made with: with these the database makes no table by itself.
    let database = Database::builder(folder.path()).open().unwrap();
    let made =
        database.keyspace("messages", || KeyspaceCreateOptions::default().max_memtable_size(8 * VIEW_BUFFER));
    drop((made.unwrap(), database));
    let disk = DiskView::open(folder.path(), CACHE).unwrap();
    let conversation = ConversationId::private(&user(1), &user(2));
    let mut next = 1;
    for _ in 0..3 * VIEW_BUFFER / APPLY_BYTES as u64 {
        let upto = next + APPLY_BYTES as u64 / 512;
        apply(&disk, &messages(&conversation, next..=upto));
        next = upto + 1;
        assert!(disk.db.write_buffer_size() <= VIEW_BUFFER);
    }
}

fn compact(disk: &DiskView) {
    disk.messages.rotate_memtable_and_wait().unwrap();
    disk.messages.major_compact().unwrap();
}

#[test]
fn the_space_of_what_was_trimmed_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let disk = DiskView::open(folder.path(), CACHE).unwrap();
    let conversation = ConversationId::private(&user(1), &user(2));
    let other = ConversationId::private(&user(1), &user(3));
    apply(&disk, &messages(&conversation, 1..=4000));
    compact(&disk);
    let before = disk.messages.disk_space();
    apply(&disk, &[Record::Trim { conversation: conversation.clone(), first: Seq(3601) }]);
    assert_eq!(disk.messages.disk_space(), before, "trimming writes one record");
    compact(&disk);
    let after = disk.messages.disk_space();
    assert!(after < before / 8, "{before} bytes, then {after}");
    drop(disk);
    let disk = DiskView::open(folder.path(), CACHE).unwrap();
    let range = Range { before: None, after: Some(Seq(0)), limit: 9000, bytes: 64 << 20 };
    let page = disk.read(&conversation, range).unwrap();
    assert_eq!((page.first, page.messages.len()), (Seq(3601), 400));
    assert_eq!(disk.begins(&other).unwrap(), Seq(0));
}

#[test]
fn a_page_under_way_loses_nothing_to_a_trim() {
    let folder = tempfile::tempdir().unwrap();
    let disk = DiskView::open(folder.path(), CACHE).unwrap();
    let conversation = ConversationId::private(&user(1), &user(2));
    apply(&disk, &messages(&conversation, 1..=1000));
    compact(&disk);
    let at = disk.db.snapshot();
    let mut begun = disk.kept(&at, &conversation).unwrap();
    assert_eq!(keys::seq(&begun.next().unwrap().key().unwrap()), Seq(1));
    apply(&disk, &[Record::Trim { conversation: conversation.clone(), first: Seq(900) }]);
    compact(&disk);
    let rest: Vec<Seq> = begun.map(|item| keys::seq(&item.key().unwrap())).collect();
    assert_eq!(rest, (2..=1000).map(Seq).collect::<Vec<_>>());
    let again = disk.kept(&at, &conversation).unwrap();
    assert_eq!(again.count(), 1000, "all that is read at once is of one moment");
    assert_eq!(disk.kept(&disk.db.snapshot(), &conversation).unwrap().count(), 101);
}
