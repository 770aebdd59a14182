//! The view kept in memory: bounded tails of conversations, memberships.
