//! Who stays: reads all that comes, of which nothing may be missing, doubled or changed. Knows no ledger.

use crate::client::{Client, Event, Flavour};
use crate::common::raw::{CLOSE, frame};
use crate::ledger::{Place, id_of};
use crate::server::Address;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long it waits for something before it looks whether it should go.
const LOOK: Duration = Duration::from_millis(50);

/// A user who stays signed in.
pub(crate) struct Regular {
    pub(crate) name: String,
    pub(crate) flavour: Flavour,
    heard: Mutex<HashMap<String, Place>>,
}

impl Regular {
    pub(crate) fn new(name: String, flavour: Flavour) -> Self {
        Self { name, flavour, heard: Mutex::default() }
    }

    /// Signs in and joins all groups.
    pub(crate) fn arrive(&self, address: &Address, groups: &[String]) -> Client {
        let mut client = Client::sign_in(address, self.flavour, &self.name, "home");
        groups.iter().for_each(|group| client.join(group));
        client
    }

    /// Reads until told to go, and then says goodbye.
    pub(crate) fn stay(&self, mut client: Client, done: &AtomicBool) {
        client.stream.set_read_timeout(LOOK);
        let mut newest: HashMap<String, u64> = HashMap::new();
        while !done.load(Ordering::Relaxed) {
            match client.next() {
                Event::Message { conversation, seq, prev, content } => {
                    let before = newest.insert(conversation.clone(), seq);
                    assert!(
                        before.is_none_or(|before| before == prev),
                        "{conversation}: {before:?}, then {prev}"
                    );
                    let id = id_of(&content);
                    let known = self.heard.lock().expect("no thread failed").insert(id, (conversation, seq));
                    assert_eq!(known, None, "{} heard {content} twice", self.name);
                }
                Event::Other | Event::Silence => {}
                other => panic!("{} heard {other:?}", self.name),
            }
        }
        client.write(&frame(CLOSE, &1000_u16.to_be_bytes()));
        client.read_until(|event| matches!(event, Event::Closed(1000)));
    }

    /// How much it has heard in this round.
    pub(crate) fn heard(&self) -> usize {
        self.heard.lock().expect("no thread failed").len()
    }

    /// What it has heard in the round that ends, by its id.
    pub(crate) fn close(&self) -> HashMap<String, Place> {
        std::mem::take(&mut *self.heard.lock().expect("no thread failed"))
    }
}
