//! The chat server on one core: bytes to commands, commands to rules, notices to rules. Knows no encoding by name.

use super::control::Ask;
use super::lobby::{Entry, Lobby, Pending};
use super::mailbox::{Arrival, Batch, Envelope, Mailbox};
use super::turn::App;
use super::world::{Io, World};
use crate::chat::{Effects, ReadId, Rules, command_counter};
use crate::clock::Now;
use crate::frame::Class;
use crate::ids::{ConnId, SessionId, ShardId, UserName};
use crate::metrics::{Counter, Gauge, Gauges, Histogram, Snapshot};
use crate::net::http::{HttpRules, UpgradeRequest};
use crate::net::plane::{Handler, Notice, Plane};
use crate::net::ring::RingAddress;
use crate::route::Router;
use crate::store::{Answer, Want};
use crate::wire::{CloseCode, Command, DecodeError, Encoding, ErrorCode, Event, Expects, Request};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// A debug build checks all invariants every turn up to this many connections: the check looks at everything.
const CHECKED_CONNECTIONS: usize = 64;

/// A disk that cannot be read is reported no more often (ms).
const TELL_EVERY: u64 = 1000;

/// The chat server's part on one core.
#[derive(Debug)]
pub struct Chat {
    me: ShardId,
    router: Router,
    rules: Rules,
    lobby: Lobby,
    io: Io,
    http: HttpRules,
    shards: Arc<Vec<Arc<[RingAddress]>>>,
    now: Now,
    batches: Vec<Batch>,
    /// Uptime by which a draining shard ends, whoever has not closed yet.
    end_by: Option<u64>,
    /// Those whose groups are being read: they sign in when that is done.
    waiting: HashMap<UserName, Vec<(ConnId, Pending)>>,
    /// When a failed read was last reported (ms of uptime).
    unread_told: Option<u64>,
    /// Since when fan-out has had more to do than fits a turn.
    fanout_since: Option<Instant>,
}

fn encoding_of(net: &Plane, conn: ConnId) -> Encoding {
    Encoding::ALL.get(usize::from(net.dialect(conn))).copied().unwrap_or_default()
}

fn sessions_of(encoding: Encoding) -> Gauge {
    match encoding {
        Encoding::Json => Gauge::JsonSessions,
        Encoding::Proto => Gauge::ProtoSessions,
    }
}

/// What a shard's chat server is put together from.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Parts {
    pub me: ShardId,
    pub router: Router,
    pub rules: Rules,
    pub lobby: Lobby,
    pub io: Io,
    pub http: HttpRules,
    /// Every shard's rings, for connections that move.
    pub shards: Arc<Vec<Arc<[RingAddress]>>>,
    pub now: Now,
}

impl Chat {
    /// Puts one shard's parts together.
    pub fn new(parts: Parts) -> Self {
        let Parts { me, router, rules, lobby, io, http, shards, now } = parts;
        Self {
            me,
            router,
            rules,
            lobby,
            io,
            http,
            shards,
            now,
            batches: Vec::new(),
            end_by: None,
            waiting: HashMap::new(),
            unread_told: None,
            fanout_since: None,
        }
    }

    fn session(&self, tag: u64) -> SessionId {
        SessionId { shard: self.me, index: tag as u32, generation: (tag >> 32) as u32 }
    }

    /// Brings someone in: here, or on the home shard.
    fn enter(&mut self, net: &mut Plane, conn: ConnId, entry: Entry, request_id: Option<&str>) {
        match entry {
            Entry::Welcome(pending) => {
                let home = self.router.home_of_user(&pending.claims.user);
                if home == self.me {
                    self.sign_in(net, conn, *pending);
                } else {
                    self.lobby.keep(conn, pending);
                    net.hand_over(conn, home, Arc::clone(&self.shards[usize::from(home.0)]));
                }
            }
            Entry::Bad(reason) => net.close(conn, CloseCode::BadToken, &reason),
            Entry::Pong => {
                let pong = Event::Pong { id: request_id, time: self.now.wall };
                self.reply(net, conn, &pong);
            }
            Entry::Refused(code, reason) => {
                net.counters.count(Counter::CommandRefused);
                let error = Event::Error { code, reason, command: None, id: request_id, retry_after: None };
                self.reply(net, conn, &error);
            }
        }
    }

    fn reply(&mut self, net: &mut Plane, conn: ConnId, event: &Event<'_>) {
        self.tell(net, conn, event, Class::Reply);
    }

    fn tell(&mut self, net: &mut Plane, conn: ConnId, event: &Event<'_>, class: Class) {
        let encoding = encoding_of(net, conn);
        let mut world = World { net, io: &mut self.io };
        let frame = world.encode_in(encoding, event);
        world.send(conn, &frame, class);
    }

    /// Signs someone in on the home shard, at once or when it is known which groups the user is in.
    fn sign_in(&mut self, net: &mut Plane, conn: ConnId, pending: Pending) {
        let user = &pending.claims.user;
        if self.rules.knows(user) {
            return self.signed_in(net, conn, pending);
        }
        // What follows is read once that is answered.
        net.owes(conn, true);
        if let Some(others) = self.waiting.get_mut(user) {
            return others.push((conn, pending));
        }
        net.counters.count(Counter::ListsMissed);
        self.io.storage.ask(Want::Conversations(user.clone()));
        self.waiting.insert(user.clone(), vec![(conn, pending)]);
    }

    /// Those who waited for this user's groups come in.
    fn admit(&mut self, net: &mut Plane, user: &UserName) {
        for (conn, pending) in self.waiting.remove(user).unwrap_or_default() {
            if net.is_talking(conn) {
                self.signed_in(net, conn, pending);
            }
        }
    }

    /// Those who waited for this user's groups cannot come in now.
    fn turn_away(&mut self, net: &mut Plane, user: &UserName) {
        self.rules.belongings_unknown(user);
        for (conn, _) in self.waiting.remove(user).unwrap_or_default() {
            net.close(conn, CloseCode::Internal, "the store cannot be read: try again");
        }
    }

    fn signed_in(&mut self, net: &mut Plane, conn: ConnId, pending: Pending) {
        let encoding = encoding_of(net, conn);
        let Pending { claims, device, id } = pending;
        let mut world = World { net, io: &mut self.io };
        let session = self.rules.sign_in(conn, encoding, claims, device, id.as_deref(), self.now, &mut world);
        if let Some(session) = session {
            net.go_live(conn, u64::from(session.index) | u64::from(session.generation) << 32);
            if net.tag(conn).is_none() {
                // The connection ended under its own sign-in, before anyone could tell whose it was.
                self.rules.closed(session, self.now, &mut World { net, io: &mut self.io });
            }
        }
    }

    fn early_message(&mut self, net: &mut Plane, conn: ConnId, request: Result<Request<'_>, DecodeError>) {
        match request {
            Ok(request) => {
                net.counters.count(command_counter(&request.command));
                let entry = match self.lobby.message(&request, self.now.wall) {
                    Entry::Refused(code, reason) => {
                        net.counters.count(Counter::CommandRefused);
                        let command = Some(request.command.name());
                        let id = request.id.as_deref();
                        return self.reply(
                            net,
                            conn,
                            &Event::Error { code, reason, command, id, retry_after: None },
                        );
                    }
                    entry => entry,
                };
                self.enter(net, conn, entry, request.id.as_deref());
            }
            Err(DecodeError::Malformed) => {
                net.close(conn, CloseCode::Invalid, "not a message of this encoding");
            }
            Err(DecodeError::Refused { code, reason, command, id }) => {
                self.refuse(net, conn, code, reason, command.as_deref(), id.as_deref());
            }
        }
    }

    /// Answers what nobody has counted as a command under way.
    fn refuse(
        &mut self,
        net: &mut Plane,
        conn: ConnId,
        code: ErrorCode,
        reason: &str,
        command: Option<&str>,
        id: Option<&str>,
    ) {
        net.counters.count(Counter::CommandRefused);
        let error = Event::Error { code, reason, command, id, retry_after: None };
        self.tell(net, conn, &error, Class::Told);
    }

    fn command(&mut self, net: &mut Plane, conn: ConnId, session: SessionId, request: Request<'_>) {
        if let Command::Auth { credential, .. } = &request.command {
            net.counters.count(Counter::CommandAuth);
            let mut world = World { net, io: &mut self.io };
            // Before it is looked at: that costs more than most commands.
            if !self.rules.allows(session, Some("auth"), request.id.as_deref(), true, self.now, &mut world) {
                return;
            }
            match self.lobby.claims(credential, self.now.wall) {
                Ok(claims) => {
                    self.rules.refresh(session, claims, request.id.as_deref(), self.now, &mut world);
                }
                Err(entry) => self.enter(net, conn, entry, request.id.as_deref()),
            }
            return;
        }
        let mut world = World { net, io: &mut self.io };
        self.rules.command(session, request, self.now, &mut world);
        if self.io.mailroom.is_spilling() {
            net.hold(conn);
        }
    }

    fn deliver(&mut self, net: &mut Plane, from: ShardId, envelope: Envelope) {
        match envelope {
            Envelope::Chat(mail) => {
                self.rules.mail(from, mail, self.now, &mut World { net, io: &mut self.io });
            }
            Envelope::Arrival(arrival) => {
                let Arrival { parcel, pending } = *arrival;
                let conn = net.adopt(parcel);
                if net.is_draining() {
                    net.close(conn, CloseCode::Draining, "retryAfter=1000");
                    return;
                }
                self.sign_in(net, conn, pending);
                net.start_reading(self, conn);
            }
            Envelope::Stray(parcel) => net.discard(&parcel),
        }
    }

    fn answer(&mut self, net: &mut Plane, mailbox: &Mailbox, ask: Ask) {
        match ask {
            Ask::Snapshot(reply) => {
                let mut snapshot = Snapshot::empty(self.me);
                snapshot.counters = net.counters.clone();
                snapshot.histograms = net.histograms.clone();
                self.gauges(net, mailbox, &mut snapshot.gauges);
                // The asker may have given up.
                let _ = reply.try_send(snapshot);
            }
            Ask::SpeakTls(acceptor) => net.speak_tls(acceptor),
        }
    }

    fn gauges(&self, net: &Plane, mailbox: &Mailbox, gauges: &mut Gauges) {
        net.gauges(gauges);
        let rules = self.rules.gauges();
        for encoding in Encoding::ALL {
            gauges.set(sessions_of(encoding), u64::from(self.io.spoken.here(encoding)));
        }
        gauges.set(Gauge::Users, rules.users as u64);
        gauges.set(Gauge::Conversations, rules.conversations as u64);
        gauges.set(Gauge::FanOutJobs, rules.fanout_jobs as u64);
        gauges.set(Gauge::MailboxDepth, mailbox.depth() as u64);
        gauges.set(Gauge::SpillDepth, self.io.mailroom.spilled() as u64);
        gauges.set(Gauge::HeadsBytes, rules.heads_bytes as u64);
        gauges.set(Gauge::TailsBytes, rules.tails_bytes as u64);
        gauges.set(Gauge::ViewBytes, self.io.storage.bytes() as u64);
    }

    fn notice(&mut self, net: &mut Plane, notice: Notice) {
        match notice {
            Notice::Closed(conn, tag) => {
                self.lobby.take(conn);
                if let Some(tag) = tag {
                    let session = self.session(tag);
                    self.rules.closed(session, self.now, &mut World { net, io: &mut self.io });
                }
            }
            Notice::Shed(tag) => {
                let session = self.session(tag);
                self.rules.resync(session, &mut World { net, io: &mut self.io });
            }
            Notice::Heartbeat(tag) => {
                let session = self.session(tag);
                self.rules.expiry(session, self.now, &mut World { net, io: &mut self.io });
            }
            Notice::Moved(conn, home, parcel) => {
                let mail = match self.lobby.take(conn) {
                    Some(pending) => Envelope::Arrival(Box::new(Arrival { parcel, pending: *pending })),
                    None => Envelope::Stray(Box::new(parcel)),
                };
                self.io.mailroom.post(home, mail, &mut net.counters);
            }
            Notice::Stray(home, parcel) => {
                self.io.mailroom.post(home, Envelope::Stray(Box::new(parcel)), &mut net.counters);
            }
            Notice::NotMoved(conn) => {
                self.lobby.take(conn);
            }
        }
    }

    /// Serves the log and the view until the rules want nothing more of them.
    fn settle(&mut self, net: &mut Plane) {
        loop {
            let notices = net.take_notices();
            let outcomes = self.io.outcomes(&mut net.histograms);
            let answers = self.io.storage.answers();
            if notices.is_empty() && outcomes.is_empty() && answers.is_empty() {
                return self.io.recycle(outcomes);
            }
            for notice in notices {
                self.notice(net, notice);
            }
            let now = self.now;
            for &outcome in &outcomes {
                self.rules.outcome(outcome, now, &mut World { net, io: &mut self.io });
            }
            self.io.recycle(outcomes);
            answers.into_iter().for_each(|answer| self.was_read(net, answer));
        }
    }

    /// What the rules, or someone who signs in, wanted to know.
    fn was_read(&mut self, net: &mut Plane, answer: Answer) {
        let now = self.now;
        let world = &mut World { net, io: &mut self.io };
        match answer {
            Answer::Activation(conversation, activation) => {
                self.rules.activated(&conversation, *activation, now, world);
            }
            Answer::Page(read, page) => self.rules.page(ReadId(read), &page, now, world),
            Answer::Survey(read, found) => self.rules.surveyed(ReadId(read), found, now, world),
            Answer::Conversations(user, groups, privates) => {
                self.rules.belongings_known(&user, groups, &privates);
                self.admit(net, &user);
                // Whoever did not wait for it has left nothing behind.
                self.rules.belongings_unknown(&user);
            }
            Answer::Trim(conversation, first) => self.rules.trim(conversation, first, world),
            Answer::Failed(want, error) => {
                // Somebody has to look at the disk; whoever asked is told to try later.
                if self.unread_told.is_none_or(|told| now.uptime > told + TELL_EVERY) {
                    self.unread_told = Some(now.uptime);
                    eprintln!("error: the view cannot be read: {error}");
                }
                self.unread(net, want);
            }
            Answer::Refused(want) => self.unread(net, want),
        }
    }

    /// Whoever wanted to know it is told to try later.
    fn unread(&mut self, net: &mut Plane, want: Want) {
        let now = self.now;
        let world = &mut World { net, io: &mut self.io };
        match want {
            Want::Activation(conversation, _) => self.rules.not_activated(&conversation, now, world),
            Want::Page(read, ..) => self.rules.no_page(ReadId(read), world),
            Want::Survey(read, _) => self.rules.not_surveyed(ReadId(read), now, world),
            Want::Conversations(user) => self.turn_away(net, &user),
        }
    }
}

impl Handler for Chat {
    fn http_rules(&self) -> &HttpRules {
        &self.http
    }

    fn upgraded(&mut self, net: &mut Plane, conn: ConnId, request: &UpgradeRequest) {
        let chosen = request.subprotocol;
        let dialect = Encoding::ALL.iter().position(|e| Some(e.subprotocol()) == chosen).unwrap_or_default();
        net.set_dialect(conn, dialect as u8);
        if let Some(token) = &request.token {
            net.counters.count(Counter::CommandAuth);
            let entry = self.lobby.token(token, self.now.wall);
            self.enter(net, conn, entry, None);
        }
    }

    fn message(&mut self, net: &mut Plane, conn: ConnId, text: bool, payload: &[u8]) {
        let encoding = encoding_of(net, conn);
        if text != encoding.is_text() {
            return net.close(conn, CloseCode::Unsupported, "this encoding does not use that kind of frame");
        }
        let request = encoding.decode(payload);
        let Some(tag) = net.tag(conn) else { return self.early_message(net, conn, request) };
        let session = self.session(tag);
        match request {
            Ok(request) => {
                match request.expects() {
                    Expects::Nothing => {}
                    Expects::Answer => net.owes(conn, false),
                    Expects::Page => net.owes(conn, true),
                }
                self.command(net, conn, session, request);
            }
            Err(DecodeError::Malformed) => {
                net.close(conn, CloseCode::Invalid, "not a message of this encoding");
            }
            Err(DecodeError::Refused { code, reason, command, id }) => {
                let (command, id) = (command.as_deref(), id.as_deref());
                let mut world = World { net, io: &mut self.io };
                if self.rules.allows(session, command, id, false, self.now, &mut world) {
                    self.refuse(net, conn, code, reason, command, id);
                }
            }
        }
    }

    fn too_fast(&mut self, net: &mut Plane, conn: ConnId, text: bool, payload: &[u8], wait: u64) {
        let encoding = encoding_of(net, conn);
        if text != encoding.is_text() {
            return net.close(conn, CloseCode::Unsupported, "this encoding does not use that kind of frame");
        }
        // Read all the same: its sender knows the answer by the command's id.
        let (command, id) = match encoding.decode(payload) {
            Ok(request) => (Some(request.command.name().to_owned()), request.id.map(Cow::into_owned)),
            Err(DecodeError::Refused { command, id, .. }) => (command, id),
            Err(DecodeError::Malformed) => {
                return net.close(conn, CloseCode::Invalid, "not a message of this encoding");
            }
        };
        net.counters.count(Counter::CommandRefused);
        let event = Event::too_fast(wait, command.as_deref(), id.as_deref());
        self.tell(net, conn, &event, Class::Told);
    }
}

impl App for Chat {
    fn begin(&mut self, now: Now) {
        self.now = now;
    }

    fn read_mail(&mut self, net: &mut Plane, mailbox: &Mailbox) -> bool {
        let mut batches = std::mem::take(&mut self.batches);
        mailbox.take(&mut batches);
        let busy = !batches.is_empty();
        for batch in batches.drain(..) {
            match batch {
                Batch::Mails(from, mails) => mails.into_iter().for_each(|mail| self.deliver(net, from, mail)),
                Batch::Ask(ask) => self.answer(net, mailbox, ask),
            }
        }
        self.batches = batches;
        if let Some(millis) = mailbox.bell().take_drain() {
            self.end_by = Some(self.now.uptime.saturating_add(millis));
            net.drain();
            self.rules.hurry();
        }
        if mailbox.bell().take_missed() {
            self.rules.missed();
        }
        busy
    }

    fn turn(&mut self, net: &mut Plane) -> bool {
        self.settle(net);
        let mut busy = self.rules.turn(self.now, &mut World { net, io: &mut self.io });
        match (busy, self.fanout_since) {
            (true, None) => self.fanout_since = Some(Instant::now()),
            (false, Some(since)) => {
                net.histograms.took(Histogram::FanOut, since.elapsed(), 1);
                self.fanout_since = None;
            }
            _ => {}
        }
        busy |= net.is_draining() && net.drain_slice();
        self.settle(net);
        if net.holds() && !self.io.mailroom.is_spilling() {
            net.unhold(self);
            busy = true;
        }
        self.io.mailroom.flush(&mut net.counters);
        self.io.storage.flush();
        if cfg!(debug_assertions) && net.len() <= CHECKED_CONNECTIONS {
            self.rules.invariants();
        }
        // A full box elsewhere rings no bell when it empties.
        busy || self.io.mailroom.is_spilling()
    }

    fn wake_by(&self) -> Option<u64> {
        [self.end_by, self.rules.due()].into_iter().flatten().min()
    }

    fn is_finished(&self, net: &Plane) -> bool {
        self.end_by.is_some_and(|end| net.is_empty() || self.now.uptime >= end)
    }
}
