//! A message whose sender and receiver change from one to the next, built once. Knows no socket.
use super::marker::Kind;
use super::template::{Message, Template};

/// A template with a place for the receiver's name; all names are of one length.
#[derive(Debug)]
pub(crate) struct Letter {
    template: Template,
    to: usize,
    length: usize,
}

impl Letter {
    /// Builds it with a first receiver's name, which the message has to name once; `None` where it does not.
    pub(crate) fn new(message: Message<'_>, name: &str) -> Option<Self> {
        let template = Template::new(message);
        let to = template.find(name)?;
        Some(Self { template, to, length: name.len() })
    }

    /// The bytes of one message.
    pub(crate) fn stamp(&mut self, (sender, name): (u32, &str), kind: Kind, seq: u32, time: u64) -> &[u8] {
        debug_assert_eq!(name.len(), self.length, "{name}");
        self.template.readdress(sender, self.to, name);
        self.template.stamp(kind, seq, time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::dialect::{Dialect, Encoding, To};

    #[test]
    fn a_letter_is_what_a_template_of_its_own_would_be() {
        use Encoding::{Json, Proto};
        for (dialect, encoding, group) in [
            ("longwire", Json, false),
            ("longwire", Json, true),
            ("longwire", Proto, false),
            ("longwire", Proto, true),
            ("socketio", Json, false),
        ] {
            let dialect = Dialect::named(dialect).unwrap().encoded(encoding).unwrap();
            let message = |name, sender| {
                let to = if group { To::Group(name) } else { To::User(name) };
                Message { dialect: &dialect, to, payload: 90, sender, run: 7, ids: false }
            };
            let mut letter = Letter::new(message("anna", 0), "anna").unwrap();
            for (name, sender) in [("otto", 5), ("anna", 6), ("rolf", u32::MAX)] {
                let mut own = Template::new(message(name, sender));
                assert_eq!(letter.stamp((sender, name), Kind::Work, 3, 4), own.stamp(Kind::Work, 3, 4));
            }
        }
        let nchan = Dialect::named("nchan").unwrap();
        let message =
            Message { dialect: &nchan, to: To::User("anna"), payload: 90, sender: 0, run: 7, ids: false };
        assert!(Letter::new(message, "anna").is_none(), "its messages name nobody");
    }
}
