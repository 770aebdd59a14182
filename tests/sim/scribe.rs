//! Writes events in the encodings that clients speak, and knows of each frame what it says and in which. Checks who asks.

use crate::truth::Name;
use longwire::frame::{ENCODINGS, Frame, Frames};
use longwire::wire::{Encoding, Event};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

pub(crate) type SharedScribe = Rc<RefCell<Scribe>>;

/// A frame that was written; it is kept, so that no other comes to lie where it does.
struct Written {
    _frame: Frame,
    encoding: Encoding,
    event: Value,
}

/// What all shards share about encodings.
#[derive(Default)]
pub(crate) struct Scribe {
    /// Sessions by encoding.
    pub(crate) sessions: [usize; ENCODINGS],
    /// Encodings that anyone ever spoke.
    ever: [bool; ENCODINGS],
    written: HashMap<*const u8, Written>,
    /// How often each stored message was written to be delivered, by encoding.
    deliveries: HashMap<Name, [u32; ENCODINGS]>,
}

impl Scribe {
    pub(crate) fn session_begins(&mut self, encoding: Encoding) {
        self.sessions[encoding.index()] += 1;
        self.ever[encoding.index()] = true;
    }

    pub(crate) fn session_ended(&mut self, encoding: Encoding) {
        self.sessions[encoding.index()] -= 1;
    }

    /// All sessions are gone.
    pub(crate) fn crashed(&mut self) {
        self.sessions = [0; ENCODINGS];
        self.ever = [false; ENCODINGS];
    }

    /// For many: in each encoding that has a session.
    pub(crate) fn write_all(&mut self, event: &Event<'_>) -> Frames {
        Frames::of_spoken(self.sessions.map(|sessions| sessions > 0), |n| self.write(Encoding::ALL[n], event))
    }

    /// For one.
    pub(crate) fn write_for(&mut self, encoding: Encoding, event: &Event<'_>) -> Frame {
        let spoken = self.ever[encoding.index()];
        assert!(spoken || matches!(event, Event::Resync), "{event:?} in {encoding:?}, which nobody speaks");
        assert!(!matches!(event, Event::Message(_)), "what many get is written for all of them at once");
        self.write(encoding, event)
    }

    fn write(&mut self, encoding: Encoding, event: &Event<'_>) -> Frame {
        if let Event::Message(message) = event {
            let name = (message.conversation.clone(), message.seq.0);
            let times = &mut self.deliveries.entry(name).or_default()[encoding.index()];
            *times += 1;
            assert_eq!(*times, 1, "{event:?} is written once in {encoding:?}");
        }
        let mut bytes = Vec::new();
        encoding.encode(event, &mut bytes);
        let frame = Frame::new(&bytes);
        let mut json = Vec::new();
        Encoding::Json.encode(event, &mut json);
        let event = serde_json::from_slice(&json).unwrap();
        let written = Written { _frame: frame.clone(), encoding, event };
        assert!(self.written.insert(frame.bytes().as_ptr(), written).is_none());
        frame
    }

    /// What a frame says, and in which encoding.
    pub(crate) fn read(&self, frame: &Frame) -> (Encoding, &Value) {
        let written = &self.written[&frame.bytes().as_ptr()];
        (written.encoding, &written.event)
    }
}
