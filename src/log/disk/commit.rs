//! One commit as bytes: a header, then its records. Knows no file and no record.
//!
//! | bytes | what, in little-endian order |
//! |---|---|
//! | 0–3 | `LWCM` |
//! | 4 | what it is: 0 records that were synced before anyone was told, 1 the end of a server that stopped in good order, 2 records that were told before they were synced |
//! | 5–7 | 0 |
//! | 8–11 | bytes of its body |
//! | 12–15 | how many records they are |
//! | 16–23 | its number: one more than the commit's before it |
//! | 24–31 | the position of its first record: one more than that of the last record before it |
//! | 32–39 | the checksum of the commit before it |
//! | 40–47 | its checksum: XXH3 (64 bits, seeded by the store's number) of bytes 0–39 and the body |
//! | 48– | the body, then zeros up to a multiple of 8 |
//!
//! It is *broken* when any of this does not hold, or when it ends behind its segment. Checksums that name the one before tie
//! commits to their order: a whole commit of another place, or of an older store, is broken here too. The seed is known to nobody
//! outside, so that no message can hold what passes for a commit.

use super::segment::StoreId;
use crate::limits::COMMIT_BYTES_MAX;
use crate::log::Position;
use xxhash_rust::xxh3::Xxh3;

/// Bytes before the body.
pub(super) const HEADER: usize = 48;
/// Commits begin at multiples of it (bytes), so that a search for one that is whole need not look everywhere.
pub(super) const ALIGN: usize = 8;

const MAGIC: [u8; 4] = *b"LWCM";
const SUM_AT: usize = 40;

/// What a commit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// It has records, which were on the disk before anyone was told.
    Records,
    /// Nothing follows: the server ended in good order.
    End,
    /// It has records that were told when the kernel had them: a loss of power may take them, and in any order.
    Unsynced,
}

/// The last commit of a log: what the next one follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Link {
    /// Its number, 0 before the first.
    pub number: u64,
    /// The position of the last record.
    pub position: Position,
    /// Its checksum.
    pub sum: u64,
}

/// A whole commit, where it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Commit<'a> {
    pub kind: Kind,
    /// Of its first record.
    pub first: Position,
    /// How many records the body has.
    pub records: u32,
    pub body: &'a [u8],
    /// What the next one follows.
    pub link: Link,
}

/// Why bytes are no commit, or not the one that is to stand there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Broken {
    /// There is none: zeros up to the end of the header.
    Absent,
    /// They do not begin as one.
    Magic,
    /// It would end behind what there is, or is longer than any.
    Length,
    /// The checksum is another.
    Sum,
    /// It is whole, and does not follow the one before it.
    Order,
}

impl Broken {
    /// In words.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Absent => "no commit",
            Self::Magic => "no commit begins here",
            Self::Length => "the commit is longer than what there is",
            Self::Sum => "the commit's checksum is wrong",
            Self::Order => "the commit does not follow the one before it",
        }
    }
}

/// Begins a commit in an empty buffer; its body is to be appended.
pub(super) fn begin(out: &mut Vec<u8>) {
    out.clear();
    out.resize(HEADER, 0);
}

/// Ends it: writes the header before the body that was appended.
pub(super) fn finish(out: &mut Vec<u8>, kind: Kind, records: u32, after: Link, store: StoreId) -> Link {
    let body = out.len() - HEADER;
    assert!(body <= COMMIT_BYTES_MAX, "the writer takes no more into a commit");
    out[..4].copy_from_slice(&MAGIC);
    out[4] = kind as u8;
    out[8..12].copy_from_slice(&(body as u32).to_le_bytes());
    out[12..16].copy_from_slice(&records.to_le_bytes());
    out[16..24].copy_from_slice(&(after.number + 1).to_le_bytes());
    out[24..32].copy_from_slice(&(after.position.0 + 1).to_le_bytes());
    out[32..40].copy_from_slice(&after.sum.to_le_bytes());
    let sum = sum(store, &out[..SUM_AT], &out[HEADER..]);
    out[SUM_AT..HEADER].copy_from_slice(&sum.to_le_bytes());
    out.resize(out.len().next_multiple_of(ALIGN), 0);
    Link { number: after.number + 1, position: Position(after.position.0 + u64::from(records)), sum }
}

/// Reads the commit at the start of `bytes` that is to follow `after`.
pub(super) fn read(bytes: &[u8], after: Link, store: StoreId) -> Result<Commit<'_>, Broken> {
    let (commit, previous) = read_any(bytes, store)?;
    let follows = commit.link.number == after.number + 1
        && commit.first.0 == after.position.0 + 1
        && previous == after.sum;
    if follows { Ok(commit) } else { Err(Broken::Order) }
}

/// Reads whichever commit is at the start of `bytes`, and the checksum of the one before it.
pub(super) fn read_any(bytes: &[u8], store: StoreId) -> Result<(Commit<'_>, u64), Broken> {
    let header = bytes.get(..HEADER).ok_or(Broken::Absent)?;
    if header.iter().all(|b| *b == 0) {
        return Err(Broken::Absent);
    }
    let kind = match header[4..8] {
        _ if header[..4] != MAGIC => return Err(Broken::Magic),
        [0, 0, 0, 0] => Kind::Records,
        [1, 0, 0, 0] => Kind::End,
        [2, 0, 0, 0] => Kind::Unsynced,
        _ => return Err(Broken::Magic),
    };
    let (len, records) = (u32_at(header, 8) as usize, u32_at(header, 12));
    let end = HEADER + len;
    if len > COMMIT_BYTES_MAX || end.next_multiple_of(ALIGN) > bytes.len() {
        return Err(Broken::Length);
    }
    let (body, padding) = (&bytes[HEADER..end], &bytes[end..end.next_multiple_of(ALIGN)]);
    let stored = u64_at(header, SUM_AT);
    if sum(store, &header[..SUM_AT], body) != stored || padding.iter().any(|b| *b != 0) {
        return Err(Broken::Sum);
    }
    let first = Position(u64_at(header, 24));
    let last = first.0.saturating_add(u64::from(records)).saturating_sub(1);
    let link = Link { number: u64_at(header, 16), position: Position(last), sum: stored };
    Ok((Commit { kind, first, records, body, link }, u64_at(header, 32)))
}

/// What a commit of so many bytes of body takes in its segment.
pub(super) fn size(body: usize) -> usize {
    (HEADER + body).next_multiple_of(ALIGN)
}

fn sum(store: StoreId, header: &[u8], body: &[u8]) -> u64 {
    let mut hash = Xxh3::with_seed(store.0 as u64 ^ (store.0 >> 64) as u64);
    hash.update(header);
    hash.update(body);
    hash.digest()
}

/// A number in a header that is long enough.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|n| bytes[at + n]))
}

/// The same of 8 bytes.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = StoreId(7 << 70 | 5);

    fn commit(body: &[u8], records: u32, after: Link) -> (Vec<u8>, Link) {
        let mut out = Vec::new();
        begin(&mut out);
        out.extend_from_slice(body);
        let link = finish(&mut out, Kind::Records, records, after, STORE);
        (out, link)
    }

    #[test]
    fn what_was_written_is_read() {
        let after = Link { number: 7, position: Position(40), sum: 99 };
        let (bytes, link) = commit(b"hello, world", 3, after);
        assert_eq!(bytes.len(), size(12));
        let read = read(&bytes, after, STORE).unwrap();
        assert_eq!((read.first, read.records, read.body), (Position(41), 3, &b"hello, world"[..]));
        assert_eq!(read.link, link);
        assert_eq!((link.number, link.position), (8, Position(43)));
    }

    #[test]
    fn each_flipped_bit_and_each_cut_breaks_it() {
        let after = Link::default();
        let (bytes, _) = commit(b"some records", 1, after);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped, after, STORE).is_err(), "bit {bit}");
        }
        for end in 0..bytes.len() {
            let mut cut = bytes.clone();
            cut[end..].fill(0);
            // Zeros that were cut were zeros before.
            assert_eq!(read(&cut, after, STORE).is_ok(), cut == bytes, "cut at {end}");
            assert!(read(&bytes[..end], after, STORE).is_err(), "ends at {end}");
        }
    }

    #[test]
    fn a_whole_commit_of_another_place_is_out_of_order() {
        let (first, link) = commit(b"one", 1, Link::default());
        let (second, _) = commit(b"two", 1, link);
        assert_eq!(read(&second, Link::default(), STORE), Err(Broken::Order));
        assert_eq!(read(&first, link, STORE), Err(Broken::Order));
        assert_eq!(read(&second, Link { sum: 1, ..link }, STORE), Err(Broken::Order));
        assert!(read(&second, link, STORE).is_ok());
    }

    #[test]
    fn an_end_has_no_records_and_zeros_are_absent() {
        let mut out = Vec::new();
        begin(&mut out);
        let after = Link { number: 1, position: Position(5), sum: 2 };
        let link = finish(&mut out, Kind::End, 0, after, STORE);
        let read = read(&out, after, STORE).unwrap();
        assert_eq!((read.kind, read.records, link.position), (Kind::End, 0, Position(5)));
        assert_eq!(super::read(&[0; 64], after, STORE), Err(Broken::Absent));
        assert_eq!(super::read(&[], after, STORE), Err(Broken::Absent));
    }

    #[test]
    fn a_commit_made_by_who_does_not_know_the_store_is_none() {
        let (bytes, link) = commit(b"one", 1, Link::default());
        for at in 0..128 {
            assert_eq!(read_any(&bytes, StoreId(STORE.0 ^ 1 << at)), Err(Broken::Sum), "{link:?}");
        }
    }
}
