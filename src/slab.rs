//! A slab of fixed chunks with generation counts: grows without moving, never doubles. Knows nothing of what it holds.

/// Slots in one chunk: large enough to make the chunk list short, small enough that an idle server stays small.
const CHUNK: usize = 1024;
/// Generations wrap at 24 bits, so that an index, a generation and an operation fit one 64-bit token.
const GENERATION_MASK: u32 = 0x00ff_ffff;
const NONE: u32 = u32::MAX;

/// A key: slot and generation. A key of a freed slot finds nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    /// The slot.
    pub index: u32,
    /// How often the slot was used before (24 bits).
    pub generation: u32,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Entry<T>,
}

#[derive(Debug)]
enum Entry<T> {
    Free(u32),
    Used(T),
}

/// The slab.
#[derive(Debug)]
pub struct Slab<T> {
    chunks: Vec<Vec<Slot<T>>>,
    free: u32,
    used: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: NONE, used: 0 }
    }
}

impl<T> Slab<T> {
    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// One more than the highest slot ever used: the end for a sweep.
    pub fn high_water(&self) -> u32 {
        self.chunks.last().map_or(0, |last| ((self.chunks.len() - 1) * CHUNK + last.len()) as u32)
    }

    /// Stores a value and tells its key.
    pub fn insert(&mut self, value: T) -> Key {
        self.used += 1;
        if self.free != NONE {
            let index = self.free;
            let slot = self.slot_mut(index).expect("the free list names existing slots");
            let generation = slot.generation;
            let Entry::Free(next) = std::mem::replace(&mut slot.value, Entry::Used(value)) else {
                unreachable!("the free list names free slots")
            };
            self.free = next;
            return Key { index, generation };
        }
        if self.chunks.last().is_none_or(|last| last.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let index = self.high_water();
        assert!(index < NONE, "a slab holds fewer than 2^32 - 1 values");
        if let Some(last) = self.chunks.last_mut() {
            last.push(Slot { generation: 0, value: Entry::Used(value) });
        }
        Key { index, generation: 0 }
    }

    /// The value of a key.
    #[inline]
    pub fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slot(key.index)?;
        match &slot.value {
            Entry::Used(value) if slot.generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The value of a key, to change.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slot_mut(key.index)?;
        match &mut slot.value {
            Entry::Used(value) if slot.generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The value in a slot, whatever its generation, with its key.
    #[inline]
    pub fn at(&self, index: u32) -> Option<(Key, &T)> {
        let slot = self.slot(index)?;
        match &slot.value {
            Entry::Used(value) => Some((Key { index, generation: slot.generation }, value)),
            Entry::Free(_) => None,
        }
    }

    /// The value in a slot, whatever its generation, to change.
    #[inline]
    pub fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        match &mut self.slot_mut(index)?.value {
            Entry::Used(value) => Some(value),
            Entry::Free(_) => None,
        }
    }

    /// Takes a value out; its key and all copies of it are void from then on.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let free = self.free;
        let slot = self.slot_mut(key.index)?;
        if slot.generation != key.generation || matches!(slot.value, Entry::Free(_)) {
            return None;
        }
        slot.generation = (slot.generation + 1) & GENERATION_MASK;
        let Entry::Used(value) = std::mem::replace(&mut slot.value, Entry::Free(free)) else {
            unreachable!("checked above")
        };
        self.free = key.index;
        self.used -= 1;
        Some(value)
    }

    /// All values with their keys.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        (0..self.high_water()).filter_map(|index| self.at(index))
    }

    #[inline]
    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        self.chunks.get(index as usize / CHUNK)?.get(index as usize % CHUNK)
    }

    #[inline]
    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot<T>> {
        self.chunks.get_mut(index as usize / CHUNK)?.get_mut(index as usize % CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut slab = Slab::default();
        let a = slab.insert("a");
        assert_eq!(slab.remove(a), Some("a"));
        let b = slab.insert("b");
        assert_eq!(b.index, a.index);
        assert_eq!((slab.get(a), slab.get(b)), (None, Some(&"b")));
        assert_eq!(slab.remove(a), None);
    }

    #[test]
    fn it_grows_by_chunks_and_reuses_slots() {
        let mut slab = Slab::default();
        let keys: Vec<_> = (0..3 * CHUNK).map(|n| slab.insert(n)).collect();
        assert_eq!(slab.high_water() as usize, 3 * CHUNK);
        keys.iter().for_each(|&k| assert_eq!(slab.remove(k), Some(k.index as usize)));
        assert!(slab.is_empty());
        for n in 0..3 * CHUNK {
            slab.insert(n);
        }
        assert_eq!((slab.high_water() as usize, slab.len()), (3 * CHUNK, 3 * CHUNK));
        assert_eq!(slab.iter().count(), 3 * CHUNK);
    }
}
