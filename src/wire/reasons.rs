//! Why a command is refused, in words for its writer: what every encoding says alike. Knows no encoding.

use crate::limits::{SYNC_CURSORS_MAX, SYNC_TOKEN_MAX};

/// A reason, in words for the command's writer.
pub(super) type Reason = &'static str;

/// The rule for names, said of one field.
macro_rules! name_rule {
    ($field:literal) => {
        concat!($field, " must be a string of 1 to 64 bytes without control characters, white space or ':'")
    };
}

pub(super) const BAD_TO: Reason = name_rule!("`to`");
pub(super) const BAD_GROUP: Reason = name_rule!("`group`");
pub(super) const BAD_USERNAME: Reason = name_rule!("`username`");
pub(super) const BAD_DEVICE: Reason = name_rule!("`device`");
pub(super) const BAD_MEMBER: Reason = name_rule!("`after`");
pub(super) const BAD_ID: Reason = "`id` must be a string of 1 to 64 bytes";
pub(super) const NO_TARGET: Reason = "`to` or `group` must be given";
pub(super) const NO_CREDENTIAL: Reason = "`token` or `username` must be given";
pub(super) const NO_GROUP: Reason = "`group` must be given";
pub(super) const NO_CONVERSATION: Reason = "`conversation` must be given";
pub(super) const BAD_CONVERSATION: Reason =
    "`conversation` must be \"u:A:B\" with two user names in byte order, or \"g:G\"";
pub(super) const BAD_BEFORE: Reason = "`before` must be an integer from 0 to 2^53-1";
pub(super) const BAD_AFTER: Reason = "`after` must be an integer from 0 to 2^53-1";
pub(super) const NO_SEQ: Reason = "`seq` must be given";
pub(super) const BAD_SEQ: Reason = "`seq` must be an integer from 1 to 2^53-1";
pub(super) const BAD_NEXT: Reason = "`next` must be a string of 1 to 256 bytes, as the answer before said it";
pub(super) const BAD_CURSORS: Reason =
    "`cursors` must name conversations (\"u:A:B\" or \"g:G\"), each with an integer from 0 to 2^53-1";
pub(super) const MANY_CURSORS: Reason = "`cursors` may name 1000 conversations at most";
pub(super) const CURSOR_TWICE: Reason = "`cursors` names a conversation twice";

const _: () = assert!(SYNC_CURSORS_MAX == 1000, "MANY_CURSORS names the limit");
const _: () = assert!(SYNC_TOKEN_MAX == 256, "BAD_NEXT names the limit");

/// Integers are safe below this in every client; JavaScript rounds above it.
pub(super) const INTEGER_END: u64 = 1 << 53;
