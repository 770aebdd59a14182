//! A message's frame, built once per sender and patched for each send. Knows no encoding and no socket.
use super::dialect::{Dialect, To};
use super::frame;
use super::marker::{self, Kind, Mark};
use memchr::memmem;

/// Bytes of an id: the run's number, the sender, the count.
const ID: usize = 8 + 8 + 8;
/// What keeps an id's place until there is one: it is found by this, and no other text is this.
const ID_HERE: &str = "<the place of a number>.";
const _: () = assert!(ID_HERE.len() == ID);

/// A message as it leaves, with places for the mark and the id: a masked frame, or its bare payload.
#[derive(Debug)]
pub(crate) struct Template {
    bytes: Box<[u8]>,
    /// Where the payload of the frame starts; the mask counts from here.
    body: usize,
    framed: bool,
    mark: usize,
    /// Bytes of the message's own payload.
    payload: usize,
    id: Option<usize>,
    run: u32,
    sender: u32,
}

/// What makes up a sender's messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) dialect: &'a Dialect,
    pub(crate) to: To<'a>,
    /// Bytes of the payload, at least [`marker::SIZE`].
    pub(crate) payload: usize,
    pub(crate) sender: u32,
    /// The run's number: marks and ids must differ between runs against one server.
    pub(crate) run: u32,
    /// Whether messages carry an `id`.
    pub(crate) ids: bool,
}

impl Template {
    /// Builds a message's frame.
    pub(crate) fn new(message: Message<'_>) -> Self {
        let Message { dialect, to, sender, run, .. } = message;
        let payload = message.payload.max(marker::SIZE);
        let mark = Mark { kind: Kind::Probe, run, sender, seq: 0, time: 0 };
        let content = String::from_utf8(marker::blank(payload, mark)).unwrap_or_default();
        // Both places are of fixed size: in every encoding all lengths in the message are those of any other.
        let text = dialect.message(to, &content, message.ids.then_some(ID_HERE));
        let mark = memmem::find(&text, content.as_bytes()).unwrap_or_default();
        let id = memmem::find(&text, ID_HERE.as_bytes());
        let mut bytes = Vec::new();
        frame::write(&mut bytes, dialect.opcode(), &text);
        let body = bytes.len() - text.len();
        Self { bytes: bytes.into(), body, framed: true, mark, payload, id, run, sender }
    }

    /// A payload without a frame, for what is no WebSocket.
    pub(crate) fn unframed(payload: usize, run: u32, sender: u32) -> Self {
        let payload = payload.max(marker::SIZE);
        let mark = Mark { kind: Kind::Probe, run, sender, seq: 0, time: 0 };
        let bytes = marker::blank(payload, mark).into();
        Self { bytes, body: 0, framed: false, mark: 0, payload, id: None, run, sender }
    }

    /// The bytes of one message.
    pub(crate) fn stamp(&mut self, kind: Kind, seq: u32, time: u64) -> &[u8] {
        let mut mark = [0; marker::SIZE];
        Mark { kind, run: self.run, sender: self.sender, seq, time }.put(&mut mark, self.payload);
        self.patch(self.mark, &mut mark);
        if let Some(at) = self.id {
            let mut id = [0; ID];
            marker::hex(u64::from(self.run), &mut id[..8]);
            marker::hex(u64::from(self.sender), &mut id[8..16]);
            marker::hex(u64::from(seq), &mut id[16..]);
            // A probe repeats counts of the workload: its id must be another.
            if kind == Kind::Probe {
                id[0] = b'p';
            }
            self.patch(at, &mut id);
        }
        &self.bytes
    }

    /// Where a text stands, if once.
    pub(super) fn find(&self, text: &str) -> Option<usize> {
        let mut whole = self.bytes[self.body..].to_vec();
        frame::mask(&mut whole, 0);
        let mut found = memmem::find_iter(&whole, text);
        found.next().filter(|_| found.next().is_none())
    }

    /// Another sender, and another receiver's name in the place of one as long.
    pub(super) fn readdress(&mut self, sender: u32, at: usize, name: &str) {
        self.sender = sender;
        for (place, byte) in (at..).zip(name.bytes()) {
            self.patch(place, &mut [byte]);
        }
    }

    fn patch(&mut self, at: usize, value: &mut [u8]) {
        if self.framed {
            frame::mask(value, at);
        }
        let start = self.body + at;
        self.bytes[start..start + value.len()].copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::dialect::Encoding;
    use crate::wire::marker::{Bounds, Found};
    use buffa::Message as _;
    use longwire::wire::proto::schema::{ClientFrame, Everyone, client_frame::Command, send_message};

    fn body_of(bytes: &[u8]) -> Vec<u8> {
        let body = [6, 8, 14][usize::from((bytes[1] & 0x7f).saturating_sub(125))];
        let mut text = bytes[body..].to_vec();
        frame::mask(&mut text, 0);
        text
    }

    fn text_of(bytes: &[u8]) -> String {
        String::from_utf8(body_of(bytes)).unwrap()
    }

    fn template(dialect: &str, to: To<'_>, payload: usize, ids: bool) -> Template {
        let dialect = Dialect::named(dialect).unwrap();
        Template::new(Message { dialect: &dialect, to, payload, sender: 9, run: 0xabc, ids })
    }

    #[test]
    fn a_stamped_frame_is_the_message_that_a_client_would_write() {
        let mut template = template("longwire", To::User("bob"), 64, true);
        for seq in [0, 1, 77] {
            let text = text_of(template.stamp(Kind::Work, seq, 1_000 + u64::from(seq)));
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((&value["type"], &value["to"]), (&"message".into(), &"bob".into()));
            assert_eq!(value["id"], format!("00000abc00000009{seq:08x}"));
            let payload = value["message"].as_str().unwrap();
            assert_eq!(payload.len(), 64);
            let time = 1_000 + u64::from(seq);
            let mark = Mark { kind: Kind::Work, run: 0xabc, sender: 9, seq, time };
            assert_eq!(Mark::find(payload.as_bytes(), Bounds::Quoted), Found::Whole(mark));
        }
    }

    #[test]
    fn a_stamped_frame_is_what_the_schema_says_too() {
        let binary = Dialect::named("longwire").unwrap().encoded(Encoding::Proto).unwrap();
        // Around each length that a varint of one byte more begins with.
        for payload in [marker::SIZE, 64, 99, 100, 127, 128, 4096, 5888, 16_383, 16_384, 70_000] {
            for to in [To::User("bob"), To::Group("bob"), To::Everyone] {
                for ids in [false, true] {
                    let message = Message { dialect: &binary, to, payload, sender: 9, run: 0xabc, ids };
                    let mut template = Template::new(message);
                    for seq in [0, 7, u32::MAX] {
                        let bytes = template.stamp(Kind::Work, seq, 77);
                        assert_eq!(bytes[0], 0x80 | frame::BINARY);
                        let frame = ClientFrame::decode_from_slice(&body_of(bytes)).unwrap();
                        let id = if ids { format!("00000abc00000009{seq:08x}") } else { String::new() };
                        assert_eq!(frame.id, id);
                        let Some(Command::Message(sent)) = frame.command else {
                            panic!("{:?}", frame.command)
                        };
                        assert_eq!(sent.target, Some(target(to)));
                        let Some(send_message::Content::Text(text)) = sent.content else { panic!("no text") };
                        let mark = Mark { kind: Kind::Work, run: 0xabc, sender: 9, seq, time: 77 };
                        assert_eq!(text.len(), payload);
                        assert_eq!(Mark::find(text.as_bytes(), Bounds::Quoted), Found::Whole(mark));
                        assert_eq!(Mark::find(&body_of(bytes), Bounds::Counted), Found::Whole(mark));
                    }
                }
            }
        }
    }

    fn target(to: To<'_>) -> send_message::Target {
        match to {
            To::User(name) => send_message::Target::To(name.to_owned()),
            To::Group(name) => send_message::Target::Group(name.to_owned()),
            _ => send_message::Target::Everyone(Everyone::default()),
        }
    }

    #[test]
    fn without_ids_there_is_none_and_a_bare_frame_is_its_payload() {
        let text = text_of(template("tutorial", To::Group("g"), 1, false).stamp(Kind::Work, 0, 0));
        assert!(!text.contains("\"id\"") && text.contains(r#""group":"g""#), "{text}");
        assert_eq!(text_of(template("echo", To::Back, 100, false).stamp(Kind::Work, 0, 0)).len(), 100);
    }

    #[test]
    fn an_unframed_message_is_its_payload() {
        let mark = Mark { kind: Kind::Work, run: 2, sender: 3, seq: 4, time: 5 };
        let mut template = Template::unframed(64, 2, 3);
        let bytes = template.stamp(Kind::Work, 4, 5);
        assert_eq!((bytes.len(), Mark::find(bytes, Bounds::Quoted)), (64, Found::Whole(mark)));
    }

    #[test]
    fn a_number_may_stand_before_the_payload() {
        let dialect = "to_user = '[{id}\"{user}\",\"{payload}\"]'\nid = '{id},'\nanswers = { ack = ['k'] }";
        let dialect = Dialect::parse(dialect).unwrap();
        let message =
            Message { dialect: &dialect, to: To::User("b"), payload: 50, sender: 1, run: 2, ids: true };
        let text = text_of(Template::new(message).stamp(Kind::Work, 3, 4));
        assert!(text.starts_with(r##"[000000020000000100000003,"b","#lw:00000002"##), "{text}");
        assert_eq!(text.len(), 1 + 24 + 1 + 4 + 1 + 50 + 2);
    }
}
