//! What shards say to each other about chat. Each kind says what its loss means and who repairs it.

/// What happens to a mail past the mailbox's bound (design D7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MailClass {
    /// Typing and presence: dropped and counted; the next one replaces it.
    Ephemeral,
    /// A command or its answer, interest, membership: never dropped. New commands are refused earlier (`Effects::accepts`).
    Kept,
    /// A stored message: spills; past the spill's bound the receiving shard is told to make its sessions `resync`.
    Delivery,
}

/// A mail between two shards' rules.
#[derive(Clone, Debug)]
pub enum Mail {}

impl Mail {
    /// What may happen to it when the receiver is slow.
    pub fn class(&self) -> MailClass {
        match *self {}
    }
}
