//! What users owe for what they did lately. Knows no session: who comes back on another connection owes the same.

use crate::clock::Now;
use crate::ids::UserName;
use crate::limits::{COST_OF_MEMBERSHIP, COST_OF_PAGE, COST_OF_SYNC, RATED_USERS};
use crate::meter::{Debt, HOUR_TICK, SECOND_TICK, TICK_MS};
use crate::wire::Command;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// Accounts are looked through for those that are clear when there are so many (number), and then at each doubling.
const SWEPT_FROM: usize = 1024;

/// One user's account. Two names of one hash would share it, which 64 bits make unlikely enough for a rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    user: u64,
    /// When its debts were paid last (ticks of uptime).
    paid: u32,
    /// For commands and their content.
    pub(super) commands: Debt,
    /// For conversations begun and groups made.
    pub(super) begun: Debt,
}

impl Account {
    fn pay(&mut self, tick: u32) {
        let ticks = tick.wrapping_sub(self.paid);
        self.paid = tick;
        self.commands.pay(ticks, SECOND_TICK);
        self.begun.pay(ticks, HOUR_TICK);
    }

    fn is_clear(&self) -> bool {
        self.commands.is_clear() && self.begun.is_clear()
    }
}

/// The accounts of the users at home on this shard, of those who owe something: an idle user has none.
#[derive(Debug)]
pub(super) struct Accounts {
    table: HashTable<Account>,
    hasher: DefaultHashBuilder,
    sweep_at: usize,
}

impl Default for Accounts {
    fn default() -> Self {
        Self { table: HashTable::new(), hasher: DefaultHashBuilder::default(), sweep_at: SWEPT_FROM }
    }
}

impl Accounts {
    /// A user's account as it stands now.
    pub(super) fn of(&mut self, user: &UserName, now: Now) -> &mut Account {
        let tick = (now.uptime / TICK_MS) as u32;
        let user = self.hasher.hash_one(user.as_str());
        if self.table.len() >= self.sweep_at {
            self.sweep(tick);
        }
        let new = Account { user, paid: tick, commands: Debt::default(), begun: Debt::default() };
        let entry = self.table.entry(user, |account| account.user == user, |account| account.user);
        let account = entry.or_insert(new).into_mut();
        account.pay(tick);
        account
    }

    /// Forgets the accounts that are clear; all of them where too many are left.
    fn sweep(&mut self, tick: u32) {
        self.table.retain(|account| {
            account.pay(tick);
            !account.is_clear()
        });
        if self.table.len() >= RATED_USERS {
            self.table.clear();
        }
        self.sweep_at = (2 * self.table.len()).clamp(SWEPT_FROM, RATED_USERS);
        self.table.shrink_to(self.sweep_at, |account| account.user);
    }
}

/// What a command counts for (messages), and the bytes of its content.
pub(super) fn cost(command: &Command<'_>) -> (u32, usize) {
    match command {
        Command::Message { payload, .. } => (1, payload.bytes.len()),
        Command::JoinGroup { .. } | Command::LeaveGroup { .. } => (COST_OF_MEMBERSHIP, 0),
        Command::Members { .. } | Command::History { .. } => (COST_OF_PAGE, 0),
        Command::Sync { .. } => (COST_OF_SYNC, 0),
        Command::Auth { .. }
        | Command::Typing { .. }
        | Command::Received { .. }
        | Command::Read { .. }
        | Command::Ping => (1, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Millis;
    use crate::meter::{Rate, Verdict};

    fn at(uptime: u64) -> Now {
        Now { uptime, wall: Millis(0) }
    }

    fn user(n: usize) -> UserName {
        UserName::new(&format!("user{n}")).expect("a name")
    }

    #[test]
    fn each_user_owes_for_its_own() {
        let rate = Rate::per_second(10, 0);
        let mut accounts = Accounts::default();
        let mut ask = |n, now| accounts.of(&user(n), at(now)).commands.ask(rate.takes(1, 0), &rate);
        assert!((0..20).all(|_| ask(1, 0) == Verdict::Go));
        assert!(matches!(ask(1, 0), Verdict::Wait(_)));
        assert_eq!(ask(2, 0), Verdict::Go);
        assert_eq!(ask(1, 1200), Verdict::Go);
    }

    #[test]
    fn only_who_owes_is_remembered() {
        let rate = Rate::per_second(10, 0);
        let mut accounts = Accounts::default();
        for n in 0..100_000 {
            // Each owes for a tenth of a second, so few do at any time.
            assert_eq!(
                accounts.of(&user(n), at(n as u64)).commands.ask(rate.takes(1, 0), &rate),
                Verdict::Go
            );
        }
        assert!(accounts.table.len() <= SWEPT_FROM, "{}", accounts.table.len());
        for n in 0..10_000 {
            let verdict = accounts.of(&user(n), at(200_000)).commands.ask(rate.takes(1, 0), &rate);
            assert_eq!(verdict, Verdict::Go);
        }
        assert!(accounts.table.len() >= 10_000);
        for n in 0..SWEPT_FROM * 16 {
            accounts.of(&user(n), at(300_000)).commands.pay(1000, SECOND_TICK);
        }
        assert!(accounts.table.capacity() < 30_000, "{}", accounts.table.capacity());
    }
}
