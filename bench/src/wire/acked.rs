//! Which message an ack is about: the id that it repeats. Knows no frame and no socket.
use super::marker::{hex, unhex};
use memchr::memmem::Finder;

/// Finds the ids of one run, wherever a server writes them.
#[derive(Debug)]
pub(crate) struct Ids {
    /// The run's digits without the first, which a probe's id does not have.
    run: Finder<'static>,
    first: u8,
}

/// What was acked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Acked {
    /// The sender's message with this count.
    Work { sender: u32, seq: u32 },
    /// Sent before the run, or by another one.
    Probe,
    /// It does not say.
    Unnamed,
}

impl Ids {
    pub(crate) fn new(run: u32) -> Self {
        let mut digits = [0; 8];
        hex(u64::from(run), &mut digits);
        Self { run: Finder::new(&digits[1..]).into_owned(), first: digits[0] }
    }

    /// Reads an ack: the run, the sender and the count, 24 digits in all.
    pub(crate) fn read(&self, message: &[u8]) -> Acked {
        let mut found = Acked::Unnamed;
        let mut from = 0;
        while let Some(at) = message.get(from..).and_then(|rest| self.run.find(rest)) {
            from += at + 1;
            let Some(id) = from.checked_sub(2).and_then(|at| message.get(at..at + 24)) else { continue };
            let (Some(sender), Some(seq)) = (unhex(&id[8..16]), unhex(&id[16..])) else { continue };
            if id[0] == self.first {
                #[allow(clippy::cast_possible_truncation)] // eight digits are 32 bits
                return Acked::Work { sender: sender as u32, seq: seq as u32 };
            }
            found = Acked::Probe;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::dialect::{Dialect, Encoding, To};
    use crate::wire::frame;
    use crate::wire::marker::Kind;
    use crate::wire::template::{Message, Template};

    #[test]
    fn what_a_template_asks_for_is_read_from_the_ack() {
        for run in [0, 0xabc, 0x1111_1111, u32::MAX] {
            let dialect = Dialect::named("longwire").unwrap();
            let to = To::User("bob");
            let mut template =
                Template::new(Message { dialect: &dialect, to, payload: 64, sender: 9, run, ids: true });
            for (kind, seq) in [(Kind::Work, 0), (Kind::Work, u32::MAX), (Kind::Probe, 7)] {
                let mut text = template.stamp(kind, seq, 5).to_vec();
                frame::mask(&mut text[8..], 0);
                let sent: serde_json::Value = serde_json::from_slice(&text[8..]).unwrap();
                let ack = format!(r#"{{"type":"ack","id":{},"time":1}}"#, sent["id"]);
                let expected = if kind == Kind::Work { Acked::Work { sender: 9, seq } } else { Acked::Probe };
                assert_eq!(Ids::new(run).read(ack.as_bytes()), expected, "{ack} of {run:x}");
            }
        }
    }

    #[test]
    fn the_same_is_read_from_an_ack_of_bytes() {
        use buffa::Message as _;
        use longwire::wire::proto::schema::{Ack, ClientFrame, ServerFrame};
        let dialect = Dialect::named("longwire").unwrap().encoded(Encoding::Proto).unwrap();
        for run in [0, 0xabc, 0x1111_1111, u32::MAX] {
            // Users' names have the run's number too, and they are in the conversation's.
            let (to, conversation) = (To::User("bob"), format!("u:u{run:08x}n8:u{run:08x}n9"));
            let message = Message { dialect: &dialect, to, payload: 64, sender: 9, run, ids: true };
            let mut template = Template::new(message);
            for (kind, seq) in [(Kind::Work, 0), (Kind::Work, u32::MAX), (Kind::Probe, 7)] {
                let mut sent = template.stamp(kind, seq, 5).to_vec();
                let body = if sent[1] & 0x7f == 126 { 8 } else { 6 };
                frame::mask(&mut sent[body..], 0);
                let id = ClientFrame::decode_from_slice(&sent[body..]).unwrap().id;
                let ack = Ack { conversation: conversation.clone(), seq: 1 << 40, ..Ack::default() };
                let ack = ServerFrame { id: id.clone(), event: Some(ack.into()) }.encode_to_vec();
                let expected = if kind == Kind::Work { Acked::Work { sender: 9, seq } } else { Acked::Probe };
                assert_eq!(Ids::new(run).read(&ack), expected, "{id} of {run:x}");
            }
            let unnamed = Ack { conversation: conversation.clone(), ..Ack::default() };
            let unnamed = ServerFrame { event: Some(unnamed.into()), ..ServerFrame::default() };
            assert_eq!(Ids::new(run).read(&unnamed.encode_to_vec()), Acked::Unnamed);
        }
    }

    #[test]
    fn an_ack_without_the_id_says_nothing() {
        let ids = Ids::new(0x0000_00ab);
        for text in [
            r#"{"type":"ack"}"#,
            r#"{"type":"ack","id":"00000ab"}"#,
            r#""00000ab0000zzzz00000001""#,
            "00000ab",
        ] {
            assert_eq!(ids.read(text.as_bytes()), Acked::Unnamed, "{text}");
        }
    }
}
