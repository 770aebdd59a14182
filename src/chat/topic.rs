//! What an ephemeral event is about: of two with the same topic, a slow receiver needs only the later. Knows no session.

use crate::frame::Topic;
use crate::ids::{ConversationId, GroupName, UserName};
use crate::route::Router;
use siphasher::sip128::Hasher128;
use std::hash::Hasher;

/// Somebody types, to one user or in one group.
pub(super) fn typing(router: &Router, from: &UserName, group: Option<&GroupName>) -> Topic {
    of(router, b't', &[from.as_str(), group.map_or("", GroupName::as_str)])
}

/// Somebody is in a group, or is not.
pub(super) fn membership(router: &Router, group: &GroupName, user: &UserName) -> Topic {
    of(router, b'm', &[user.as_str(), group.as_str()])
}

/// Somebody has got further in a conversation.
pub(super) fn receipt(router: &Router, conversation: &ConversationId, user: &UserName) -> Topic {
    of(router, b'r', &[user.as_str(), conversation.as_str()])
}

/// A keyed hash, so that nobody can choose names to silence others with.
fn of(router: &Router, kind: u8, names: &[&str]) -> Topic {
    let mut hasher = router.fingerprints();
    hasher.write_u8(kind);
    for name in names {
        hasher.write(name.as_bytes());
        // No name has one.
        hasher.write_u8(0xff);
    }
    Topic::new(hasher.finish128().h1)
}
