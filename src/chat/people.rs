//! The users and sessions at home on this shard. Knows no groups' content, no conversations, no mail.

use crate::claims::Claims;
use crate::clock::EPOCH_2020;
use crate::frame::{Class, Frames};
use crate::ids::{ConnId, DeviceName, GroupName, Millis, Seq, SessionId, ShardId, UserName};
use crate::slab::{Key, Slab};
use crate::wire::Encoding;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use super::Effects;
use super::belongings::{Belongings, Idle};
use super::send::send_own;

/// Ends a list of slots.
pub(super) const NONE: u32 = u32::MAX;
/// When a credential ends, in seconds since 2020, rounded up: half of what milliseconds would take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Deadline(u32);

impl Deadline {
    const NEVER: Self = Self(u32::MAX);

    fn new(expires: Option<Millis>) -> Self {
        let seconds = |at: Millis| at.0.saturating_sub(EPOCH_2020.0).div_ceil(1000);
        expires.map_or(Self::NEVER, |at| Self(u32::try_from(seconds(at)).unwrap_or(u32::MAX)))
    }

    /// The milliseconds left, if it ever ends.
    pub(super) fn left(self, now: Millis) -> Option<u64> {
        let at = EPOCH_2020.0 + u64::from(self.0) * 1000;
        (self != Self::NEVER).then(|| at.saturating_sub(now.0))
    }
}

/// A signed-in device. Idle ones are what the server holds most of: every byte counts.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) conn: ConnId,
    pub(super) user: u32,
    /// The user's next session.
    pub(super) next: u32,
    pub(super) expires: Deadline,
    pub(super) device: Option<DeviceName>,
    pub(super) extras: Option<Box<Extras>>,
    pub(super) encoding: Encoding,
    /// Whether messages to everyone are allowed.
    pub(super) broadcast: bool,
    pub(super) told: Told,
}

/// What a session has been told already, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Told(u8);

impl Told {
    /// That its credential ends soon.
    pub(super) const EXPIRING: Self = Self(1);
    /// To read what was written before its encoding was spoken.
    pub(super) const LATE: Self = Self(1 << 1);
    /// To wait, since its user was too fast; until it has done so.
    pub(super) const TOO_FAST: Self = Self(1 << 2);

    /// Notes it; true if it was told before.
    pub(super) fn again(&mut self, what: Self) -> bool {
        let before = self.0;
        self.0 |= what.0;
        before & what.0 != 0
    }

    pub(super) fn forget(&mut self, what: Self) {
        self.0 &= !what.0;
    }
}

/// What only sessions with groups have.
#[derive(Debug, Default)]
pub(super) struct Extras {
    /// Groups that the credential allows to join.
    pub(super) claimed: Vec<GroupName>,
    pub(super) seats: Vec<Seat>,
}

/// A session's place in a group's list on this shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seat {
    pub(super) group: Key,
    pub(super) place: u32,
}

/// A group that a user is in.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    pub(super) group: GroupName,
    /// The group's last message before the user joined.
    pub(super) since: Seq,
}

/// A user: kept while there is a session, a membership or a join under way.
#[derive(Debug)]
pub(super) struct User {
    pub(super) name: UserName,
    /// The newest session, or what ends a list.
    pub(super) first: u32,
    pub(super) sessions: u16,
    /// Joins asked and not yet answered: they count against the user's limit of groups.
    pub(super) joining: u16,
    /// None for the many users without.
    pub(super) belongs: Option<Box<Belongings>>,
}

// An idle session costs its slot, its user's slot and an index entry, with a generation each: 124 bytes together.
const _: () = assert!(size_of::<Session>() <= 56 && size_of::<User>() <= 40);

impl User {
    pub(super) fn groups(&self) -> &[Membership] {
        self.belongs.as_ref().map_or(&[], |belongs| &belongs.groups)
    }
}

/// Both registries.
#[derive(Debug)]
pub(super) struct People {
    shard: ShardId,
    /// Whether groups can be read again, so that users without a session need not be kept for them.
    pub(super) memberships_stored: bool,
    pub(super) idle: Idle,
    pub(super) sessions: Slab<Session>,
    pub(super) users: Slab<User>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl People {
    pub(super) fn new(shard: ShardId, memberships_stored: bool, idle_max_bytes: usize) -> Self {
        Self {
            shard,
            memberships_stored,
            idle: Idle::new(idle_max_bytes),
            sessions: Slab::default(),
            users: Slab::default(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// A session of this shard that is still there.
    pub(super) fn session(&self, session: SessionId) -> Option<&Session> {
        self.sessions.get(self.key(session)?)
    }

    pub(super) fn key(&self, session: SessionId) -> Option<Key> {
        let here = session.shard == self.shard;
        here.then_some(Key { index: session.index, generation: session.generation })
    }

    pub(super) fn id(&self, key: Key) -> SessionId {
        SessionId { shard: self.shard, index: key.index, generation: key.generation }
    }

    /// The slot of a user known here.
    pub(super) fn find(&self, name: &UserName) -> Option<u32> {
        let hash = self.hasher.hash_one(name.as_str());
        let is = |&slot: &u32| self.users.at(slot).is_some_and(|(_, user)| user.name == *name);
        self.index.find(hash, is).copied()
    }

    /// The slot of a user, known here from now on.
    pub(super) fn enter(&mut self, name: &UserName) -> u32 {
        if let Some(slot) = self.find(name) {
            self.wake(slot);
            return slot;
        }
        let user = User { name: name.clone(), first: NONE, sessions: 0, joining: 0, belongs: None };
        let slot = self.users.insert(user).index;
        let (users, hasher) = (&self.users, &self.hasher);
        let rehash = |&slot: &u32| users.at(slot).map_or(0, |(_, user)| hasher.hash_one(user.name.as_str()));
        self.index.insert_unique(hasher.hash_one(name.as_str()), slot, rehash);
        slot
    }

    pub(super) fn user(&self, slot: u32) -> Option<&User> {
        self.users.at(slot).map(|(_, user)| user)
    }

    /// Forgets a user that nothing holds any more, or keeps it among the idle.
    pub(super) fn release(&mut self, slot: u32) {
        let Some(user) = self.user(slot).filter(|_| !self.is_idle(slot)) else { return };
        let member = !self.memberships_stored && !user.groups().is_empty();
        if user.sessions == 0 && user.joining == 0 && !member && !self.keeps_idle(slot) {
            self.forget(slot);
        }
    }

    /// Takes a user out.
    pub(super) fn forget(&mut self, slot: u32) {
        let Some((key, user)) = self.users.at(slot) else { return };
        let hash = self.hasher.hash_one(user.name.as_str());
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        self.users.remove(key);
    }

    /// Registers a session in front of its user's others.
    pub(super) fn add<E: Effects>(
        &mut self,
        user: u32,
        conn: ConnId,
        encoding: Encoding,
        claims: Claims,
        device: Option<DeviceName>,
        fx: &mut E,
    ) -> Key {
        fx.session_begins(encoding);
        let next = self.users.at(user).map_or(NONE, |(_, user)| user.first);
        let session = Session {
            conn,
            user,
            next,
            expires: Deadline::NEVER,
            device,
            extras: None,
            encoding,
            broadcast: false,
            told: Told::default(),
        };
        let key = self.sessions.insert(session);
        if let Some(user) = self.users.at_mut(user) {
            user.first = key.index;
            user.sessions += 1;
        }
        self.grant(key, claims);
        key
    }

    /// Gives a session what its credential says.
    pub(super) fn grant(&mut self, key: Key, claims: Claims) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.expires = Deadline::new(claims.expires);
        session.broadcast = claims.broadcast;
        session.told.forget(Told::EXPIRING);
        match &mut session.extras {
            Some(extras) => extras.claimed = claims.groups,
            None if claims.groups.is_empty() => {}
            none => *none = Some(Box::new(Extras { claimed: claims.groups, seats: Vec::new() })),
        }
    }

    /// Takes a session out of its user's list.
    pub(super) fn remove<E: Effects>(&mut self, key: Key, fx: &mut E) -> Option<Session> {
        let session = self.sessions.remove(key)?;
        fx.session_ended(session.encoding);
        let user = self.users.at_mut(session.user)?;
        user.sessions -= 1;
        if user.first == key.index {
            user.first = session.next;
            return Some(session);
        }
        let mut at = user.first;
        while let Some(other) = self.sessions.at_mut(at) {
            if other.next == key.index {
                other.next = session.next;
                break;
            }
            at = other.next;
        }
        Some(session)
    }

    /// The sessions of a user, the newest first.
    pub(super) fn sessions_of(&self, user: u32) -> impl Iterator<Item = (Key, &Session)> {
        let mut at = self.user(user).map_or(NONE, |user| user.first);
        std::iter::from_fn(move || {
            let (key, session) = self.sessions.at(at)?;
            at = session.next;
            Some((key, session))
        })
    }

    /// A user's session on a device.
    pub(super) fn on_device(&self, user: u32, device: &DeviceName) -> Option<Key> {
        let mut sessions = self.sessions_of(user);
        sessions.find(|(_, session)| session.device.as_ref() == Some(device)).map(|(key, _)| key)
    }

    /// Sends to every session of a user except the one on `except`; tells how many got it.
    pub(super) fn send<E: Effects>(
        &mut self,
        user: &UserName,
        except: Option<ConnId>,
        frames: &Frames,
        class: Class,
        fx: &mut E,
    ) -> u32 {
        let Some(slot) = self.find(user) else { return 0 };
        let (mut sent, mut at) = (0, self.user(slot).map_or(NONE, |user| user.first));
        while let Some(session) = self.sessions.at_mut(at) {
            at = session.next;
            if Some(session.conn) != except {
                sent += u32::from(send_own(session, frames, class, fx));
            }
        }
        sent
    }

    /// What must hold of all users and sessions.
    pub(super) fn invariants(&self) {
        assert_eq!(self.index.len(), self.users.len(), "every user is indexed once");
        let mut listed = 0;
        for (key, user) in self.users.iter() {
            let own = self.sessions_of(key.index).filter(|(_, session)| session.user == key.index).count();
            assert_eq!(own, user.sessions as usize, "{}: its list holds its sessions", user.name);
            assert!(
                own > 0 || user.joining > 0 || !user.groups().is_empty() || self.is_idle(key.index),
                "{}: held by something",
                user.name
            );
            listed += own;
        }
        self.idle_invariants();
        assert_eq!(listed, self.sessions.len(), "every session is in its user's list");
    }
}
