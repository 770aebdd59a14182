//! A small chat and echo server on tungstenite, one thread per connection, that can be told to misbehave.
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket, accept};

/// What the server does wrong with the 20th message that it delivers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    None,
    Drop,
    Duplicate,
    /// Delivered after the one that follows it.
    Swap,
    /// The receiver's connection is closed.
    Close,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Tutorial,
    Longwire,
    Echo,
}

const FAULTY: usize = 20;

type Sink = Arc<Mutex<WebSocket<TcpStream>>>;

struct State {
    kind: Kind,
    fault: Fault,
    users: Mutex<HashMap<String, Sink>>,
    groups: Mutex<HashMap<String, Vec<(String, Sink)>>>,
    delivered: AtomicUsize,
    held: Mutex<Option<(Sink, String)>>,
}

/// Starts a server on a free port and says its URL.
pub(crate) fn serve(kind: Kind, fault: Fault) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let state = Arc::new(State {
        kind,
        fault,
        users: Mutex::default(),
        groups: Mutex::default(),
        delivered: AtomicUsize::new(0),
        held: Mutex::default(),
    });
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let state = Arc::clone(&state);
            std::thread::spawn(move || connection(stream, &state));
        }
    });
    url
}

fn connection(stream: TcpStream, state: &State) {
    stream.set_nodelay(true).unwrap();
    let writer = WebSocket::from_raw_socket(stream.try_clone().unwrap(), Role::Server, None);
    let Ok(mut reader) = accept(stream) else { return };
    let sink: Sink = Arc::new(Mutex::new(writer));
    let mut name = String::new();
    while let Ok(message) = reader.read() {
        let Message::Text(text) = message else { continue };
        if state.kind == Kind::Echo {
            state.deliver(&sink, text.to_string());
        } else {
            state.command(&sink, &mut name, &serde_json::from_str(&text).unwrap());
        }
    }
}

impl State {
    fn command(&self, sink: &Sink, name: &mut String, command: &Value) {
        let text = |key: &str| command[key].as_str().map(str::to_owned);
        let answer = |value: Value| {
            if self.kind == Kind::Longwire {
                // serde_json sorts keys; Longwire writes its `type` first.
                let rest = value.to_string();
                let kind = value["type"].as_str().unwrap();
                send(sink, format!("{{\"type\":\"{kind}\",{}", &rest[1..]));
            }
        };
        match command["type"].as_str().unwrap() {
            "auth" => {
                *name = text("username").unwrap();
                self.users.lock().unwrap().insert(name.clone(), Arc::clone(sink));
                answer(json!({"type": "authenticated", "user": name}));
            }
            "joinGroup" => {
                let mut groups = self.groups.lock().unwrap();
                groups.entry(text("group").unwrap()).or_default().push((name.clone(), Arc::clone(sink)));
                answer(json!({"type": "joined"}));
            }
            "ping" => answer(json!({"type": "pong", "time": 1})),
            "message" => {
                if let Some(id) = text("id") {
                    answer(json!({"type": "ack", "id": id, "seq": 1}));
                }
                let frame =
                    json!({"type": "message", "from": name, "message": command["message"]}).to_string();
                for to in self.receivers(name, text("to"), text("group")) {
                    self.deliver(&to, frame.clone());
                }
            }
            _ => {}
        }
    }

    fn receivers(&self, from: &str, to: Option<String>, group: Option<String>) -> Vec<Sink> {
        let users = self.users.lock().unwrap();
        match (to, group) {
            (Some(to), _) => users.get(&to).cloned().into_iter().collect(),
            (None, Some(group)) => {
                let groups = self.groups.lock().unwrap();
                groups[&group]
                    .iter()
                    .filter(|(name, _)| name != from)
                    .map(|(_, sink)| Arc::clone(sink))
                    .collect()
            }
            (None, None) => {
                users.iter().filter(|(name, _)| *name != from).map(|(_, s)| Arc::clone(s)).collect()
            }
        }
    }

    fn deliver(&self, to: &Sink, frame: String) {
        // Probes are not counted, so that the fault meets the workload.
        let work = frame.contains("#lw:");
        let number = if work { self.delivered.fetch_add(1, Ordering::SeqCst) } else { 0 };
        match (number == FAULTY, self.fault) {
            (true, Fault::Drop) => {}
            (true, Fault::Duplicate) => {
                send(to, frame.clone());
                send(to, frame);
            }
            (true, Fault::Swap) => *self.held.lock().unwrap() = Some((Arc::clone(to), frame)),
            (true, Fault::Close) => {
                let _ = to.lock().unwrap().close(None);
            }
            _ => {
                send(to, frame);
                // The held one follows the next message to the same receiver.
                let held =
                    self.held.lock().unwrap().take_if(|(held_for, _)| work && Arc::ptr_eq(held_for, to));
                held.into_iter().for_each(|(_, held)| send(to, held));
            }
        }
    }
}

fn send(to: &Sink, text: String) {
    // The other side may have left.
    let _ = to.lock().unwrap().send(Message::text(text));
}

/// Runs `longwire-bench` and gives its exit code, its report and what it said beside it.
pub(crate) fn bench(arguments: &[&str]) -> (i32, Value, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_longwire-bench")).args(arguments).arg("--json").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap_or(-1), report, said)
}
