//! The log kept in memory: commits at the next poll, keeps records until they are trimmed.
