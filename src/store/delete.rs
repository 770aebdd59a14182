//! A conversation deleted from a stopped store: one record in its log, which the view follows as a server's does. Knows no words for users but
//! its errors'.

use super::stopped::{CACHE, Stopped};
use super::{Answer, Config, Port, Retention, Store, StoreError, Wake, Want};
use crate::ids::{ConversationId, Seq};
use crate::log::{Durability, Outcome, Record};
use crate::route::Router;
use crate::view::{Activation, Recall};
use flume::Receiver;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A new file of the log, if one is needed (bytes).
const SEGMENT: u64 = 2 << 20;
/// A commit that takes longer is told of.
const WATCHDOG: Duration = Duration::from_secs(2);

/// What was deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deleted {
    /// The `seq` of its last message, 0 if it had none.
    pub head: Seq,
    /// Members that the group had.
    pub members: usize,
}

/// Why nothing was deleted.
#[derive(Debug)]
pub enum DeleteError {
    /// The store cannot be opened.
    Store(StoreError),
    /// It has no such conversation.
    Unknown,
    /// It cannot be read or written.
    Failed,
}

impl fmt::Display for DeleteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::Unknown => write!(f, "the store has no such conversation"),
            Self::Failed => write!(f, "the store cannot be read or written; nothing may have been deleted"),
        }
    }
}

impl std::error::Error for DeleteError {}

/// Deletes a conversation of the store in a folder: its messages, its members, where everyone has read to.
///
/// # Errors
/// [`DeleteError`].
pub fn delete(path: &Path, conversation: &ConversationId) -> Result<Deleted, DeleteError> {
    // Only where there is one: opening makes it.
    drop(Stopped::open(path).map_err(DeleteError::Store)?);
    let config = Config {
        folder: path.into(),
        durability: Durability::Fsync,
        segment: SEGMENT,
        min_free: 0,
        cache: CACHE,
        watchdog: WATCHDOG,
        retention: Retention::default(),
        core: None,
        shares_cores: false,
    };
    let (bell, rung) = flume::bounded(1);
    let wake: Wake = Arc::new(move || {
        let _ = bell.try_send(());
    });
    let (store, mut ports, _) = Store::open(&config, vec![wake]).map_err(DeleteError::Store)?;
    let port = ports.first_mut().ok_or(DeleteError::Failed)?;
    let Activation { head, members, .. } = known(port, conversation, &rung).ok_or(DeleteError::Failed)?;
    if head == Seq(0) && members.is_empty() {
        return Err(DeleteError::Unknown);
    }
    let record = Record::Delete { conversation: conversation.clone(), first: Seq(head.0 + 1) };
    let partition = Router::new(store.key(), 1).conversation_partition(conversation);
    port.append(partition, &record).map_err(|_| DeleteError::Failed)?;
    port.flush();
    let mut outcomes = Vec::new();
    while outcomes.is_empty() && rung.recv().is_ok() {
        port.poll(&mut outcomes);
    }
    match outcomes[..] {
        [Outcome::Committed(..)] => Ok(Deleted { head, members: members.len() }),
        _ => Err(DeleteError::Failed),
    }
}

/// How the conversation stands.
fn known(port: &mut Port, conversation: &ConversationId, rung: &Receiver<()>) -> Option<Activation> {
    port.read(Want::Activation(conversation.clone(), Recall::default())).ok()?;
    let mut answers = Vec::new();
    while answers.is_empty() && rung.recv().is_ok() {
        port.answers(&mut answers);
    }
    match answers.pop() {
        Some(Answer::Activation(_, activation)) => Some(*activation),
        _ => None,
    }
}
