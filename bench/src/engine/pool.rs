//! Things that few of many connections need at a time, lent by number. Knows no connection.

/// No thing at all.
pub(super) const NONE: u32 = u32::MAX;

/// Lends things; those given back keep their memory for the next.
#[derive(Debug, Default)]
pub(super) struct Pool<T> {
    things: Vec<T>,
    free: Vec<u32>,
}

impl<T: Default> Pool<T> {
    /// Lends one. There are never more than connections.
    pub(super) fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.things.push(T::default());
            u32::try_from(self.things.len() - 1).unwrap_or(NONE)
        })
    }

    /// Takes one back, to be lent as it is.
    pub(super) fn give_back(&mut self, number: u32) {
        self.free.push(number);
    }

    /// A lent one.
    pub(super) fn get(&mut self, number: u32) -> &mut T {
        &mut self.things[number as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_lent_again_with_its_memory() {
        let mut pool = Pool::<Vec<u8>>::default();
        let (one, other) = (pool.take(), pool.take());
        assert_ne!(one, other);
        pool.get(one).reserve(100);
        pool.give_back(one);
        let again = pool.take();
        assert_eq!(again, one);
        assert!(pool.get(again).capacity() >= 100);
    }
}
