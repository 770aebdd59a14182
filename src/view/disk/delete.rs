//! A conversation that is deleted, in the view: its messages as if trimmed, everything else at once. Knows no log.

use super::{Applying, ViewError, keys};
use crate::ids::{ConversationId, GroupName, Parties, Seq};
use fjall::{PersistMode, Readable};

impl Applying<'_> {
    /// Takes a conversation away. Whom it had is read, so what came before is written first: applied again, the same are found, or
    /// those who came since, who come again as well.
    pub(super) fn delete(&mut self, conversation: &ConversationId, first: Seq) -> Result<(), ViewError> {
        let view = self.view;
        self.write_heads();
        let next = view.db.batch().durability(Some(PersistMode::Buffer));
        std::mem::replace(&mut self.batch, next).commit()?;
        // One that has begun anew may have no message yet: what was deleted before stays so.
        self.trim(conversation, first)?;
        let (batch, name) = (&mut self.batch, conversation.as_str());
        batch.remove(&view.heads, name);
        batch.remove(&view.tallies, name);
        let at = view.db.snapshot();
        for item in at.prefix(&view.cursors, keys::all_of(name)) {
            batch.remove(&view.cursors, item.key()?);
        }
        match conversation.parties() {
            Parties::Private(a, b) => {
                for user in [a, b] {
                    batch.remove(&view.privates, keys::private(user, conversation));
                }
            }
            Parties::Group(group) => {
                let group = GroupName::new(group);
                let group = group.map_err(|_| ViewError::Damaged("a conversation has no name"))?;
                for (user, _) in view.members_of(&at, group.as_str())? {
                    batch.remove(&view.members, keys::member(&group, &user));
                    batch.remove(&view.groups, keys::group(&user, &group));
                }
            }
        }
        Ok(())
    }
}
