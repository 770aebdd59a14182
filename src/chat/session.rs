//! A session's life: sign-in, refresh, expiry, close. Knows no conversation.

use super::people::{Session, Told};
use super::{Effects, Rules};
use crate::claims::Claims;
use crate::clock::Now;
use crate::frame::Class;
use crate::ids::{ConnId, DeviceName, SessionId};
use crate::metrics::Counter;
use crate::slab::Key;
use crate::wire::{CloseCode, Encoding, ErrorCode, Event};

/// A session hears of its credential's end two heartbeats ahead, and at least this long (ms).
const WARN_AT_LEAST_MS: u64 = 60_000;

impl Rules {
    /// Signs a device in on its user's home shard. Answers `authenticated`, or closes: this connection when the user
    /// has too many, the older one of the same device otherwise.
    #[allow(clippy::too_many_arguments)]
    pub fn sign_in<E: Effects>(
        &mut self,
        conn: ConnId,
        encoding: Encoding,
        claims: Claims,
        device: Option<DeviceName>,
        id: Option<&str>,
        now: Now,
        fx: &mut E,
    ) -> Option<SessionId> {
        let name = claims.user.clone();
        let older =
            device.as_ref().and_then(|device| self.people.on_device(self.people.find(&name)?, device));
        if let Some(older) = older {
            self.replace(older, fx);
        }
        let known = self.people.find(&name);
        let sessions = known.and_then(|user| self.people.user(user)).map_or(0, |user| user.sessions);
        if u32::from(sessions) >= self.config.user_connection_limit || sessions == u16::MAX {
            fx.close(conn, CloseCode::ConnectionLimit, "this user has too many connections");
            return None;
        }
        let counted = known.is_some_and(|user| !self.people.is_idle(user));
        if sessions == 0 && self.people.busy() - usize::from(counted) >= self.config.users_max {
            fx.count(Counter::UsersFull);
            fx.close(conn, CloseCode::TooMany, "the server knows too many users; try later");
            return None;
        }
        let user = self.people.enter(&name);
        let key = self.people.add(user, conn, encoding, claims, device, fx);
        // Registered first, told after: whoever reads the head once authenticated has no gap.
        for n in 0.. {
            let Some(at) = self.people.user(user).and_then(|user| user.groups().get(n)).cloned() else {
                break;
            };
            if self.locals.seat(&mut self.people, key, &at.group, at.since) {
                self.tell_interest(&at.group, true, false, fx);
            }
        }
        let session = self.people.id(key);
        self.authenticated(session, id, now, fx);
        Some(session)
    }

    fn replace<E: Effects>(&mut self, key: Key, fx: &mut E) {
        if let Some(session) = self.people.sessions.get(key) {
            fx.close(session.conn, CloseCode::Replaced, "this device signed in again");
        }
        // The user stays, and with it what is known of its groups: the newer session follows.
        self.leave(key, fx);
    }

    fn authenticated<E: Effects>(&mut self, session: SessionId, id: Option<&str>, now: Now, fx: &mut E) {
        let Some(Session { conn, encoding, user, .. }) = self.people.session(session) else { return };
        let Some(user) = self.people.user(*user) else { return };
        let event = Event::Authenticated {
            id,
            user: &user.name,
            session,
            heartbeat: self.config.heartbeat_ms,
            time: now.wall,
            limits: self.config.limits,
        };
        let frame = fx.encode_in(*encoding, &event);
        fx.send(*conn, &frame, Class::Reply);
    }

    /// `auth` again, with a credential verified already: the same user's session goes on under it.
    pub fn refresh<E: Effects>(
        &mut self,
        session: SessionId,
        claims: Claims,
        id: Option<&str>,
        now: Now,
        fx: &mut E,
    ) {
        let Some(key) = self.people.key(session) else { return };
        let Some(user) = self.people.sessions.get(key).map(|session| session.user) else { return };
        if self.people.user(user).is_none_or(|user| user.name != claims.user) {
            let reason = "this connection is another user's";
            return self.refuse(session, ErrorCode::Forbidden, reason, Some("auth"), id, fx);
        }
        self.people.grant(key, claims);
        self.authenticated(session, id, now, fx);
    }

    /// The session's connection is gone. A session that was replaced or has expired is gone already.
    pub fn closed<E: Effects>(&mut self, session: SessionId, _now: Now, fx: &mut E) {
        if let Some(key) = self.people.key(session) {
            self.end(key, fx);
        }
    }

    /// Ends a session: no route, slot or fan-out entry of it remains.
    fn end<E: Effects>(&mut self, key: Key, fx: &mut E) {
        if let Some(user) = self.leave(key, fx) {
            self.people.release(user);
        }
    }

    /// The same for now without its user, whose slot is told.
    fn leave<E: Effects>(&mut self, key: Key, fx: &mut E) -> Option<u32> {
        let session = self.people.remove(key, fx)?;
        for seat in session.extras.iter().flat_map(|extras| &extras.seats) {
            self.stand_up(*seat, fx);
        }
        Some(session.user)
    }

    /// The heartbeat's look at a session: warns once when its credential is about to end, closes when it has.
    pub fn expiry<E: Effects>(&mut self, session: SessionId, now: Now, fx: &mut E) {
        let Some(key) = self.people.key(session) else { return };
        let warn = WARN_AT_LEAST_MS.max(2 * self.config.heartbeat_ms);
        let Some(session) = self.people.sessions.get_mut(key) else { return };
        let Some(left) = session.expires.left(now.wall) else { return };
        if left == 0 {
            fx.close(session.conn, CloseCode::Expired, "the token has expired");
            self.end(key, fx);
        } else if left <= warn && !session.told.again(Told::EXPIRING) {
            let (conn, encoding) = (session.conn, session.encoding);
            let frame = fx.encode_in(encoding, &Event::Expiring { left });
            fx.send(conn, &frame, Class::Told);
        }
    }

    /// Stored messages for this session were dropped: it is told to read them.
    pub fn resync<E: Effects>(&mut self, session: SessionId, fx: &mut E) {
        if let Some(session) = self.people.session(session) {
            fx.count(Counter::Resyncs);
            let frame = fx.encode_in(session.encoding, &Event::Resync);
            fx.send(session.conn, &frame, Class::Told);
        }
    }
}
