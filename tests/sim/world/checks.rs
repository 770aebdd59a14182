//! What must hold once everything has come to rest.

use super::World;
use longwire::ids::Parties;

impl World {
    pub(super) fn check_deliveries(&self) {
        let truth = self.truth.borrow();
        for (name, committed) in &truth.messages {
            let number: serde_json::Value = serde_json::from_slice(&committed.record.bytes).unwrap();
            let number = number["n"].as_u64().unwrap();
            for &n in &committed.expected {
                let client = &self.clients[n as usize];
                let stayed = match name.0.parties() {
                    Parties::Group(group) => truth.stayed_member(group, &client.user, committed.order),
                    Parties::Private(..) => true,
                };
                let excused = !client.alive
                    || !stayed
                    || client.wrote.contains(&number)
                    || truth.went_unknown(name)
                    || self.lost.contains(&(client.session.shard, name.clone()));
                if !excused {
                    let got = client.got.get(name).copied().unwrap_or(0);
                    assert_eq!(got, 1, "client {n} ({}) and {} {}", client.user, name.0, name.1);
                }
            }
        }
        for (n, client) in self.clients.iter().enumerate().filter(|(_, client)| client.alive) {
            assert!(client.waiting.is_empty(), "client {n} waits for answers to {:?}", client.waiting);
            assert!(client.owed_after.is_none_or(|before| client.resyncs > before), "client {n} must resync");
            assert!(
                client.is_told_of_the_late(&truth),
                "client {n} must read what came without its encoding"
            );
        }
    }

    /// What a `sync` did not tell came live, to those who were not told to read it again.
    pub(super) fn check_no_gap(&self) {
        let truth = self.truth.borrow();
        for (n, client) in
            self.clients.iter().enumerate().filter(|(_, client)| client.alive && client.resyncs == 0)
        {
            for (conversation, at) in &client.synced_at {
                let later = (conversation.clone(), at + 1)..(conversation.clone(), u64::MAX);
                for (name, committed) in truth.messages.range(later) {
                    let number: serde_json::Value = serde_json::from_slice(&committed.record.bytes).unwrap();
                    let stayed = match conversation.parties() {
                        Parties::Group(group) => truth.stayed_member(group, &client.user, committed.order),
                        Parties::Private(..) => true,
                    };
                    let own = client.wrote.contains(&number["n"].as_u64().unwrap());
                    let has = client.got.contains_key(name) || own || !stayed || truth.went_unknown(name);
                    assert!(
                        has,
                        "client {n} ({}) synced {conversation} at {at} and lacks {}",
                        client.user, name.1
                    );
                }
            }
        }
    }

    pub(super) fn check_nothing_is_left(&self) {
        let truth = self.truth.borrow();
        let held = truth.users_in_groups();
        let mut users = 0;
        for rules in &self.rules {
            let left = rules.gauges();
            users += left.users;
            let routes = (left.sessions, left.local_groups, left.interests);
            let work = (left.fanout_jobs, left.pending, left.reads, left.syncs);
            assert_eq!((routes, work), ((0, 0, 0), (0, 0, 0, 0)), "{left:?}");
        }
        // What is stored is read again.
        let kept = if self.size.crashes { 0 } else { held.len() };
        assert_eq!(users, kept, "only memberships keep users: {held:?}");
    }
}
