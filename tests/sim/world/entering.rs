//! People who come: at once, or once it was read which groups they are in, where that is stored.

use super::World;
use crate::client::Client;
use longwire::claims::Claims;
use longwire::frame::ENCODINGS;
use longwire::ids::{ConnId, ConversationId, DeviceName, GroupName, Seq, ShardId, UserName};
use longwire::view::{Activation, Recall, View};
use longwire::wire::Encoding;
use rand::RngExt;

/// Someone whose groups are read before the sign-in.
pub(super) struct Entering {
    user: UserName,
    device: Option<DeviceName>,
    encoding: Encoding,
}

impl World {
    pub(super) fn sign_in(&mut self) {
        let user = self.user();
        let name = UserName::new(&user).unwrap();
        let home = self.router.home_of_user(&name);
        let at = usize::from(home.0);
        let device = self.rng.random_bool(0.3).then(|| DeviceName::new("phone").unwrap());
        let other = self.rng.random_bool(self.share);
        let encoding = Encoding::ALL[if other { ENCODINGS - 1 } else { 0 }];
        if self.rules[at].knows(&name) {
            self.signed_in(at, name, device, encoding);
        } else {
            self.entering.push(Entering { user: name, device, encoding });
        }
    }

    fn signed_in(&mut self, at: usize, user: UserName, device: Option<DeviceName>, encoding: Encoding) {
        let name = user.to_string();
        let claims = Claims { user, expires: None, groups: Vec::new(), broadcast: true };
        let conn = ConnId { index: self.clients.len() as u32, generation: 0 };
        let host = &mut self.hosts[at];
        let session = self.rules[at].sign_in(conn, encoding, claims, device, None, self.now, host);
        if let Some(session) = session {
            let known_after = host.mailed.clone();
            let came_at = self.truth.borrow().order;
            self.clients.push(Client::new(&name, session, encoding, known_after, came_at));
        } else {
            assert_eq!(host.closed.pop().map(|(conn, _)| conn), Some(conn), "refused and closed");
        }
    }

    /// Those come in whose groups were read, or could not be.
    pub(super) fn let_in(&mut self, at: usize, failing: bool) -> bool {
        let is_here =
            |entering: &mut Entering| self.router.home_of_user(&entering.user) == ShardId(at as u16);
        let here: Vec<Entering> = self.entering.extract_if(.., is_here).collect();
        let mut users: Vec<UserName> = here.iter().map(|entering| entering.user.clone()).collect();
        users.sort_unstable();
        users.dedup();
        let mut here = here;
        for user in &users {
            let mine: Vec<Entering> = here.extract_if(.., |entering| entering.user == *user).collect();
            if failing && self.rng.random_bool(0.1) {
                self.rules[at].belongings_unknown(user);
                continue;
            }
            let (groups, privates) = (self.groups_of(user), self.privates_of(user));
            self.rules[at].belongings_known(user, groups, &privates);
            for Entering { user, device, encoding } in mine {
                self.signed_in(at, user, device, encoding);
            }
            self.rules[at].belongings_unknown(user);
        }
        !users.is_empty()
    }

    fn stored(&self, home: usize, conversation: &ConversationId) -> Activation {
        self.hosts[home].view.activate(conversation, &Recall::default())
    }

    /// As the store has them.
    fn groups_of(&self, user: &UserName) -> Vec<(GroupName, Seq)> {
        let groups = (0..self.size.groups).map(|n| GroupName::new(&format!("g{n}")).unwrap());
        let since = |group: GroupName| {
            let home = usize::from(self.router.home_of_group(&group).0);
            let members = self.stored(home, &ConversationId::group(&group)).members;
            let since = members.into_iter().find(|(member, _)| member == user)?.1;
            Some((group, since))
        };
        groups.filter_map(since).collect()
    }

    /// The private conversations that have messages, as the store has them.
    fn privates_of(&self, user: &UserName) -> Vec<ConversationId> {
        let others = (0..self.size.users).map(|n| UserName::new(&format!("u{n}")).unwrap());
        let has_messages = |conversation: &ConversationId| {
            let home = usize::from(self.router.home_of_conversation(conversation).0);
            self.stored(home, conversation).head != Seq(0)
        };
        others.map(|other| ConversationId::private(user, &other)).filter(has_messages).collect()
    }
}
