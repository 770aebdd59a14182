//! Messages that go: trims while the server runs, conversations deleted while it does not.

use super::World;
use longwire::ids::{ConversationId, GroupName, Seq, UserName};
use rand::RngExt;

impl World {
    /// A conversation's home is asked to trim it, as who looks through the store does: what it knows may be old.
    pub(super) fn trim(&mut self) {
        let conversation = self.conversation();
        let all = (conversation.clone(), 0)..=(conversation.clone(), u64::MAX);
        let seqs: Vec<u64> = self.truth.borrow().messages.range(all).map(|(name, _)| name.1).collect();
        let Some(last) = seqs.last() else { return };
        let first = seqs.get(self.rng.random_range(0..=seqs.len())).copied().unwrap_or(last + 1);
        let at = usize::from(self.router.home_of_conversation(&conversation).0);
        self.rules[at].trim(conversation, Seq(first), &mut self.hosts[at]);
    }

    fn conversation(&mut self) -> ConversationId {
        if self.rng.random() {
            return ConversationId::group(&GroupName::new(&self.group()).unwrap());
        }
        let (a, b) = (UserName::new(&self.user()).unwrap(), UserName::new(&self.user()).unwrap());
        ConversationId::private(&a, &b)
    }

    /// Some conversations are deleted before the next server begins.
    pub(super) fn delete(&mut self) {
        while self.rng.random_bool(0.3) {
            let conversation = self.conversation();
            let home = usize::from(self.router.home_of_conversation(&conversation).0);
            self.hosts[home].delete(&conversation);
        }
    }
}
