//! A small chat and echo server on tungstenite, one thread per connection, that can be told to misbehave.
use super::fault::{Fault, Faults};
use super::log::Log;
use super::mark::Mark;
use super::outlet::{Lateness, Outlet, Sink, bytes, is_work, write};
use super::proto;
use super::raw::{drain, requested, upgraded};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tungstenite::handshake::server::{Request, Response};
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket, accept_hdr};

/// How late a second copy is.
const LATE: Duration = Duration::from_millis(20);

/// What the server speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Tutorial,
    Longwire,
    /// The same in Protobuf.
    Proto,
    Echo,
}

/// A server that runs until the test's program ends.
pub(crate) struct Server {
    state: Arc<State>,
    url: String,
}

/// A server's orders, before it runs.
pub(crate) struct Builder {
    kind: Kind,
    faults: Faults,
    late: Lateness,
    deaf: Option<(usize, Duration)>,
    noise: Option<(String, Duration)>,
    doors: usize,
    busy: Vec<Range<usize>>,
    silent: usize,
    keep_closes: bool,
    join_delay: Duration,
}

struct State {
    kind: Kind,
    /// Close frames are not answered.
    keep_closes: bool,
    /// From a `joinGroup` until it takes effect.
    join_delay: Duration,
    faults: Mutex<Faults>,
    outlet: Outlet,
    /// From this message of the workload on, nothing is read for so long.
    deaf: Option<(usize, Duration)>,
    deaf_until: Mutex<Option<Instant>>,
    /// What every connection gets unasked, and how often.
    noise: Option<(String, Duration)>,
    users: Mutex<HashMap<String, Sink>>,
    groups: Mutex<HashMap<String, Vec<(String, Sink)>>>,
    /// Connections of an echo server.
    everyone: Mutex<Vec<Sink>>,
    delivered: AtomicUsize,
    /// Messages of the workload that asked for an ack.
    acked: AtomicUsize,
    last_acked: Mutex<Option<(Sink, String)>>,
    /// Held back: for whom, from whom.
    held: Mutex<Vec<(Sink, u64, Message)>>,
    /// Of the run before.
    foreign: Mutex<Option<Message>>,
    /// The last one delivered, and when each message of the workload came.
    last: Mutex<Option<Message>>,
    arrivals: Mutex<Vec<(Instant, Mark)>>,
    log: Mutex<Log>,
}

/// Starts a server on a free port, with one fault, and says its URL.
pub(crate) fn serve(kind: Kind, fault: Fault) -> String {
    Server::of(kind).faults(Faults::once(fault)).start().url().to_owned()
}

impl Server {
    pub(crate) fn of(kind: Kind) -> Builder {
        Builder {
            kind,
            faults: Faults::none(),
            late: Lateness::default(),
            deaf: None,
            noise: None,
            doors: usize::MAX,
            busy: Vec::new(),
            silent: usize::MAX,
            keep_closes: false,
            join_delay: Duration::ZERO,
        }
    }

    /// Waits until so many messages of the workload have come.
    pub(crate) fn wait_for(&self, messages: usize) {
        let since = Instant::now();
        while self.state.arrivals.lock().unwrap().len() < messages {
            assert!(since.elapsed() < Duration::from_secs(60), "{messages} messages never came");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// When each message of the workload came, and its mark; they are forgotten here.
    pub(crate) fn arrivals(&self) -> Vec<(Instant, Mark)> {
        std::mem::take(&mut self.state.arrivals.lock().unwrap())
    }

    /// Ends what was remembered of a run: the next one's deliveries are counted from 0 and meet these faults.
    pub(crate) fn next_run(&self, fault: Fault, at: &[usize]) {
        *self.state.foreign.lock().unwrap() = self.state.last.lock().unwrap().take();
        *self.state.faults.lock().unwrap() = Faults::each(fault, at);
        self.state.everyone.lock().unwrap().clear();
        self.state.delivered.store(0, Ordering::SeqCst);
        self.state.acked.store(0, Ordering::SeqCst);
    }
}

impl Builder {
    /// These deliveries go wrong.
    pub(crate) fn wrong(self, fault: Fault, at: &[usize]) -> Self {
        self.faults(Faults::each(fault, at))
    }

    fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Each delivery is late by so much.
    pub(crate) fn delay(mut self, delay: Duration) -> Self {
        self.late.delay = delay;
        self
    }

    /// It delivers one message at a time, each of which takes so long.
    pub(crate) fn service(mut self, each: Duration) -> Self {
        self.late.service = each;
        self
    }

    /// Once, `after` the first message, nothing is delivered for `length`.
    pub(crate) fn stall(mut self, after: Duration, length: Duration) -> Self {
        self.late.stall = Some((after, length));
        self
    }

    /// Once, after so many messages, nothing is read for `length`.
    pub(crate) fn deaf(mut self, after: usize, length: Duration) -> Self {
        self.deaf = Some((after, length));
        self
    }

    /// So many connections are let in; all others are told to come later.
    pub(crate) fn doors(mut self, connections: usize) -> Self {
        self.doors = connections;
        self
    }

    /// These connections, by number, are told to come again after a second.
    pub(crate) fn busy(mut self, connections: Range<usize>) -> Self {
        self.busy.push(connections);
        self
    }

    /// All connections after so many are upgraded, and nothing that they say is answered, no close frame either.
    pub(crate) fn silent_after(mut self, connections: usize) -> Self {
        self.silent = connections;
        self
    }

    /// No close frame is answered.
    pub(crate) fn keeping_closes(mut self) -> Self {
        self.keep_closes = true;
        self
    }

    /// A join takes effect, and is answered, so much later; what stands behind it is not.
    pub(crate) fn late_joins(mut self, delay: Duration) -> Self {
        self.join_delay = delay;
        self
    }

    /// Each connection gets this text again and again.
    pub(crate) fn noise(mut self, text: &str, every: Duration) -> Self {
        self.noise = Some((text.to_owned(), every));
        self
    }

    /// Starts it on a free port.
    pub(crate) fn start(self) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let state = Arc::new(State {
            kind: self.kind,
            keep_closes: self.keep_closes,
            join_delay: self.join_delay,
            faults: Mutex::new(self.faults),
            outlet: Outlet::new(self.late),
            deaf: self.deaf,
            deaf_until: Mutex::default(),
            noise: self.noise,
            users: Mutex::default(),
            groups: Mutex::default(),
            everyone: Mutex::default(),
            delivered: AtomicUsize::new(0),
            acked: AtomicUsize::new(0),
            last_acked: Mutex::default(),
            held: Mutex::default(),
            foreign: Mutex::default(),
            last: Mutex::default(),
            arrivals: Mutex::default(),
            log: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for (number, mut stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let state = Arc::clone(&shared);
                if self.busy.iter().any(|busy| busy.contains(&number)) {
                    requested(&mut stream);
                    let _ =
                        stream.write_all(b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
                } else if number >= self.silent {
                    std::thread::spawn(move || {
                        upgraded(&mut stream, b"");
                        drain(&stream);
                    });
                } else if number < self.doors {
                    std::thread::spawn(move || connection(stream, &state));
                } else {
                    requested(&mut stream);
                    // The other side may have left.
                    let _ = stream.write_all(b"HTTP/1.1 503 Busy\r\n\r\n");
                }
            }
        });
        Server { state, url }
    }
}

fn connection(stream: TcpStream, state: &Arc<State>) {
    stream.set_nodelay(true).unwrap();
    let writer = WebSocket::from_raw_socket(stream.try_clone().unwrap(), Role::Server, None);
    let binary = state.kind == Kind::Proto;
    #[allow(clippy::result_large_err)] // tungstenite's own type
    let select = |_: &Request, mut response: Response| {
        if binary {
            let name = "Sec-WebSocket-Protocol".parse::<tungstenite::http::HeaderName>().unwrap();
            response.headers_mut().insert(name, proto::SUBPROTOCOL.parse().unwrap());
        }
        Ok(response)
    };
    let Ok(mut reader) = accept_hdr(stream, select) else { return };
    let sink: Sink = Arc::new(Mutex::new(writer));
    state.everyone.lock().unwrap().push(Arc::clone(&sink));
    if let Some((text, every)) = state.noise.clone() {
        let sink = Arc::clone(&sink);
        std::thread::spawn(move || {
            while sink.lock().unwrap().send(Message::text(text.as_str())).is_ok() {
                std::thread::sleep(every);
            }
        });
    }
    let mut name = String::new();
    while let Ok(message) = reader.read() {
        let came = Instant::now();
        if message.is_close() && state.keep_closes {
            // The answer would leave with the next read.
            drain(reader.get_ref());
            return;
        }
        if message.is_binary() != binary || !(message.is_binary() || message.is_text()) {
            continue;
        }
        if let Some(mark) = Mark::find(bytes(&message)).filter(|mark| mark.kind == 'w') {
            state.arrivals.lock().unwrap().push((came, mark));
        }
        state.be_deaf();
        if state.kind == Kind::Echo {
            state.deliver(&sink, &sink, message);
        } else if binary {
            state.command(&sink, &mut name, &proto::command(bytes(&message)));
        } else {
            state.command(&sink, &mut name, &serde_json::from_slice(bytes(&message)).unwrap());
        }
    }
    // Nothing is leaked to those who have left.
    state.everyone.lock().unwrap().retain(|other| !Arc::ptr_eq(other, &sink));
}

impl State {
    /// Sleeps as long as nothing is to be read.
    fn be_deaf(&self) {
        let Some((after, length)) = self.deaf else { return };
        let until = (self.arrivals.lock().unwrap().len() >= after)
            .then(|| *self.deaf_until.lock().unwrap().get_or_insert_with(|| Instant::now() + length));
        if let Some(until) = until {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
    }

    fn answer(&self, sink: &Sink, value: &Value) {
        match self.kind {
            Kind::Proto => write(sink, Message::binary(proto::event(value))),
            Kind::Longwire => {
                // serde_json sorts keys; Longwire writes its `type` first.
                let rest = value.to_string();
                let kind = value["type"].as_str().unwrap();
                write(sink, Message::text(format!("{{\"type\":\"{kind}\",{}", &rest[1..])));
            }
            Kind::Tutorial | Kind::Echo => {}
        }
    }

    /// Takes a member in; a late one in its own time.
    fn join(self: &Arc<Self>, sink: &Sink, name: &str, group: String) {
        let (state, member) = (Arc::clone(self), (name.to_owned(), Arc::clone(sink)));
        let work = move || {
            let sink = Arc::clone(&member.1);
            state.groups.lock().unwrap().entry(group).or_default().push(member);
            state.answer(&sink, &json!({"type": "joined"}));
        };
        if self.join_delay.is_zero() {
            return work();
        }
        let delay = self.join_delay;
        std::thread::spawn(move || {
            std::thread::sleep(delay);
            work();
        });
    }

    fn command(self: &Arc<Self>, sink: &Sink, name: &mut String, command: &Value) {
        let text = |key: &str| command[key].as_str().map(str::to_owned);
        match command["type"].as_str().unwrap() {
            "auth" => {
                *name = text("username").unwrap();
                self.users.lock().unwrap().insert(name.clone(), Arc::clone(sink));
                self.answer(sink, &json!({"type": "authenticated", "user": name}));
            }
            "joinGroup" => self.join(sink, name, text("group").unwrap()),
            "ping" => self.answer(sink, &json!({"type": "pong", "time": 1})),
            "sync" => {
                let synced = self.log.lock().unwrap().synced(name, command);
                self.answer(sink, &synced);
            }
            "read" => {
                let seq = command["seq"].as_u64().unwrap();
                self.log.lock().unwrap().read(name, &text("conversation").unwrap(), seq);
            }
            "message" => {
                text("to").iter().for_each(|to| self.log.lock().unwrap().said(name, to));
                self.ack(sink, command);
                let event = json!({"type": "message", "from": name, "message": command["message"]});
                let frame = match self.kind {
                    Kind::Proto => Message::binary(proto::event(&event)),
                    _ => Message::text(event.to_string()),
                };
                for to in self.receivers(name, text("to"), text("group")) {
                    self.deliver(sink, &to, frame.clone());
                }
            }
            _ => {}
        }
    }

    fn ack(&self, sink: &Sink, command: &Value) {
        let Some(id) = command["id"].as_str() else { return };
        let work = command["message"].as_str().is_some_and(|text| text.starts_with("#lw:"));
        let mut before = self.last_acked.lock().unwrap();
        let fault = self.fault(work.then(|| self.acked.fetch_add(1, Ordering::SeqCst)));
        let id = match fault {
            Fault::KeepAck => return,
            Fault::Refuse => {
                let error =
                    json!({"type": "error", "code": 503, "reason": "later", "for": "message", "id": id});
                return self.answer(sink, &error);
            }
            Fault::AckAnother => before.clone().expect("an ack before"),
            Fault::AckElsewhere => (self.someone_else(sink, sink), id.to_owned()),
            _ => (Arc::clone(sink), id.to_owned()),
        };
        let ack = json!({"type": "ack", "id": id.1, "seq": 1});
        if fault == Fault::AckTwice {
            self.answer(&id.0, &ack);
        }
        self.answer(&id.0, &ack);
        *before = Some(id);
    }

    fn receivers(&self, from: &str, to: Option<String>, group: Option<String>) -> Vec<Sink> {
        let users = self.users.lock().unwrap();
        match (to, group) {
            (Some(to), _) => users.get(&to).cloned().into_iter().collect(),
            (None, Some(group)) => {
                let groups = self.groups.lock().unwrap();
                let members = groups.get(&group).into_iter().flatten();
                members.filter(|(name, _)| name != from).map(|(_, sink)| Arc::clone(sink)).collect()
            }
            (None, None) => {
                users.iter().filter(|(name, _)| *name != from).map(|(_, s)| Arc::clone(s)).collect()
            }
        }
    }

    fn fault(&self, delivery: Option<usize>) -> Fault {
        delivery.map_or(Fault::None, |number| self.faults.lock().unwrap().of(number))
    }

    /// Someone who is neither the sender nor the receiver; if there is one, someone who is in no group with them.
    fn someone_else(&self, from: &Sink, to: &Sink) -> Sink {
        let everyone = self.everyone.lock().unwrap();
        let groups = self.groups.lock().unwrap();
        let is_in =
            |sink: &Sink, group: &[(String, Sink)]| group.iter().any(|(_, member)| Arc::ptr_eq(member, sink));
        let stranger = |sink: &Sink| !groups.values().any(|group| is_in(sink, group) && is_in(from, group));
        let mut others = everyone.iter().filter(|sink| !Arc::ptr_eq(sink, from) && !Arc::ptr_eq(sink, to));
        let other = others.clone().find(|sink| stranger(sink)).or_else(|| others.next());
        Arc::clone(other.expect("a third connection"))
    }

    fn deliver(&self, from: &Sink, to: &Sink, frame: Message) {
        let work = is_work(bytes(&frame));
        let number = work.then(|| self.delivered.fetch_add(1, Ordering::SeqCst));
        if work {
            *self.last.lock().unwrap() = Some(frame.clone());
        }
        match self.fault(number) {
            Fault::Drop => {}
            Fault::Duplicate => {
                self.outlet.send(to, frame.clone());
                self.outlet.send(to, frame);
            }
            Fault::DuplicateLate => {
                self.outlet.send(to, frame.clone());
                let to = Arc::clone(to);
                std::thread::spawn(move || {
                    std::thread::sleep(LATE);
                    write(&to, frame);
                });
            }
            Fault::Swap => self.held.lock().unwrap().push((Arc::clone(to), sender(&frame), frame)),
            Fault::Close => {
                let _ = to.lock().unwrap().close(None);
            }
            Fault::Misdeliver => self.outlet.send(&self.someone_else(from, to), frame),
            Fault::Leak => {
                self.outlet.send(&self.someone_else(from, to), frame.clone());
                self.outlet.send(to, frame);
            }
            Fault::EchoBack => {
                self.outlet.send(from, frame.clone());
                self.outlet.send(to, frame);
            }
            Fault::Corrupt(at) => self.outlet.send(to, corrupted(&frame, at)),
            Fault::Foreign => {
                let foreign = self.foreign.lock().unwrap().clone().expect("a message of a run before");
                self.outlet.send(to, foreign);
                self.outlet.send(to, frame);
            }
            Fault::None
            | Fault::KeepAck
            | Fault::AckAnother
            | Fault::AckTwice
            | Fault::AckElsewhere
            | Fault::Refuse => {
                let held = if work { self.release(to, sender(&frame)) } else { Vec::new() };
                self.outlet.send(to, frame);
                held.into_iter().for_each(|(_, _, frame)| self.outlet.send(to, frame));
            }
        }
    }

    /// What was held back follows the next message of its sender to the same receiver.
    fn release(&self, to: &Sink, from: u64) -> Vec<(Sink, u64, Message)> {
        let mut held = self.held.lock().unwrap();
        held.extract_if(.., |(for_whom, of, _)| Arc::ptr_eq(for_whom, to) && *of == from).collect()
    }
}

fn sender(frame: &Message) -> u64 {
    Mark::find(bytes(frame)).expect("a message of the workload").sender
}

/// The frame with one byte of its payload changed into another digit.
fn corrupted(frame: &Message, at: usize) -> Message {
    let mut changed = bytes(frame).to_vec();
    let start = changed.windows(4).position(|four| four == b"#lw:").unwrap() + at;
    changed[start] = if changed[start] == b'7' { b'3' } else { b'7' };
    if frame.is_binary() {
        Message::binary(changed)
    } else {
        Message::text(String::from_utf8(changed).unwrap())
    }
}
