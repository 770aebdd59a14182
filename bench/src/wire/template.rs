//! A message's frame, built once per sender and patched for each send. Knows no socket.
use super::dialect::{self, To};
use super::frame::{self, TEXT};
use super::marker::{self, Kind, Mark};

/// Bytes of an id: the run's number, the sender, the count.
const ID: usize = 8 + 8 + 8;

/// A masked frame with places for the mark and the id.
#[derive(Debug)]
pub(crate) struct Template {
    bytes: Box<[u8]>,
    /// Where the payload of the frame starts; the mask counts from here.
    body: usize,
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
    pub(crate) to: To<'a>,
    /// Bytes of `message`, at least [`marker::SIZE`].
    pub(crate) payload: usize,
    pub(crate) sender: u32,
    /// The run's number: marks and ids must differ between runs against one server.
    pub(crate) run: u32,
    /// Whether messages carry an `id`.
    pub(crate) ids: bool,
}

impl Template {
    /// Builds the frame of a chat message.
    pub(crate) fn chat(message: Message<'_>) -> Self {
        let mut text = dialect::before_payload(message.to).into_bytes();
        let mark = text.len();
        text.resize(mark + message.payload.max(marker::SIZE), marker::FILLER);
        let id = message.ids.then(|| {
            text.extend_from_slice(dialect::BEFORE_ID.as_bytes());
            let at = text.len();
            text.resize(at + ID, b'0');
            at
        });
        text.extend_from_slice(dialect::END.as_bytes());
        Self::new(&text, mark, id, (message.run, message.sender))
    }

    /// Builds a frame that is nothing but a payload, for echo servers.
    pub(crate) fn bare(payload: usize, run: u32, sender: u32) -> Self {
        Self::new(&vec![marker::FILLER; payload.max(marker::SIZE)], 0, None, (run, sender))
    }

    fn new(text: &[u8], mark: usize, id: Option<usize>, (run, sender): (u32, u32)) -> Self {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, TEXT, text);
        let body = bytes.len() - text.len();
        let payload = text[mark..].iter().take_while(|&&byte| byte == marker::FILLER).count();
        Self { bytes: bytes.into(), body, mark, payload, id, run, sender }
    }

    /// The frame of one message.
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

    fn patch(&mut self, at: usize, value: &mut [u8]) {
        frame::mask(value, at);
        let start = self.body + at;
        self.bytes[start..start + value.len()].copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::marker::Found;

    fn text_of(bytes: &[u8]) -> String {
        let body = if bytes[1] & 0x7f == 126 { 8 } else { 6 };
        let mut text = bytes[body..].to_vec();
        frame::mask(&mut text, 0);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_stamped_frame_is_the_message_that_a_client_would_write() {
        let to = To::User("bob");
        let mut template = Template::chat(Message { to, payload: 64, sender: 9, run: 0xabc, ids: true });
        for seq in [0, 1, 77] {
            let text = text_of(template.stamp(Kind::Work, seq, 1_000 + u64::from(seq)));
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((&value["type"], &value["to"]), (&"message".into(), &"bob".into()));
            assert_eq!(value["id"], format!("00000abc00000009{seq:08x}"));
            let payload = value["message"].as_str().unwrap();
            assert_eq!(payload.len(), 64);
            let time = 1_000 + u64::from(seq);
            assert_eq!(
                Mark::find(payload.as_bytes()),
                Found::Whole(Mark { kind: Kind::Work, run: 0xabc, sender: 9, seq, time })
            );
        }
    }

    #[test]
    fn without_ids_there_is_none_and_a_bare_frame_is_its_payload() {
        let mut template =
            Template::chat(Message { to: To::Group("g"), payload: 1, sender: 1, run: 2, ids: false });
        assert!(!text_of(template.stamp(Kind::Work, 0, 0)).contains("\"id\""));
        assert_eq!(text_of(Template::bare(100, 2, 1).stamp(Kind::Work, 0, 0)).len(), 100);
    }
}
