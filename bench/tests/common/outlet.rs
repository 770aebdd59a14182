//! The one way out of a server: what is delivered leaves here, at once, late, or after a stall.
use super::mark::Mark;
use std::net::TcpStream;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket};

/// A connection that can be written to.
pub(crate) type Sink = Arc<Mutex<WebSocket<TcpStream>>>;

/// How late the server is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lateness {
    /// Each delivery leaves so much later than it could.
    pub(crate) delay: Duration,
    /// Each delivery of the workload takes so long, and the next one begins after it: what it can do is bounded.
    pub(crate) service: Duration,
    /// Once, so long after the first delivery of the workload, nothing leaves for so long.
    pub(crate) stall: Option<(Duration, Duration)>,
}

/// One thread, as most servers have: what stands behind a late message is late too.
pub(crate) struct Outlet(Option<Sender<(Instant, Sink, Message)>>);

impl Outlet {
    pub(crate) fn new(late: Lateness) -> Self {
        if late.delay.is_zero() && late.service.is_zero() && late.stall.is_none() {
            return Self(None);
        }
        let (sender, items) = channel::<(Instant, Sink, Message)>();
        std::thread::spawn(move || {
            let mut stall = late.stall;
            let mut first = None;
            while let Ok((came, sink, message)) = items.recv() {
                if is_work(bytes(&message)) {
                    let first = *first.get_or_insert(came);
                    if let Some((_, length)) = stall.take_if(|(after, _)| came - first >= *after) {
                        std::thread::sleep(length);
                    }
                    std::thread::sleep(late.service);
                }
                std::thread::sleep((came + late.delay).saturating_duration_since(Instant::now()));
                write(&sink, message);
            }
        });
        Self(Some(sender))
    }

    /// Sends one delivery, in its turn.
    pub(crate) fn send(&self, sink: &Sink, message: Message) {
        match &self.0 {
            Some(items) => items.send((Instant::now(), Arc::clone(sink), message)).unwrap(),
            None => write(sink, message),
        }
    }
}

/// Writes now.
pub(crate) fn write(sink: &Sink, message: Message) {
    // The other side may have left.
    let _ = sink.lock().unwrap().send(message);
}

/// What a message consists of.
pub(crate) fn bytes(message: &Message) -> &[u8] {
    match message {
        Message::Text(text) => text.as_bytes(),
        Message::Binary(bytes) => bytes,
        other => panic!("no message: {other:?}"),
    }
}

/// Whether it is a message of the workload.
pub(crate) fn is_work(message: &[u8]) -> bool {
    Mark::find(message).is_some_and(|mark| mark.kind == 'w')
}
