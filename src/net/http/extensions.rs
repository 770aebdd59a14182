//! Which offer of `permessage-deflate` is granted (RFC 6455 section 9.1, RFC 7692 section 7.1). Knows no codec.

use crate::net::deflate::Window;
use std::borrow::Cow;
use tungstenite::http::header::{HeaderMap, HeaderValue, SEC_WEBSOCKET_EXTENSIONS};

const NAME: &str = "permessage-deflate";
/// The answer to every offer: neither side keeps a context from one message to the next, whatever the client asked for.
const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// The window of the first offer that can be granted, and the header value that grants it.
pub(super) fn choose(headers: &HeaderMap) -> Option<(Window, HeaderValue)> {
    let lines = headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().filter_map(|value| value.to_str().ok());
    lines.into_iter().find_map(first_granted)
}

/// Reads offers up to the first that can be granted. What breaks the grammar ends the line: nothing behind it can be told apart.
fn first_granted(line: &str) -> Option<(Window, HeaderValue)> {
    let mut text = Text(line);
    loop {
        let name = text.token()?;
        let mut offer = (name == NAME).then(Offer::default);
        while text.takes(';') {
            let parameter = text.token()?;
            let value = if text.takes('=') { Some(text.value()?) } else { None };
            offer = offer.and_then(|offer| offer.with(parameter, value.as_deref()));
        }
        let last = !text.takes(',');
        if last && !text.is_empty() {
            return None;
        }
        if let Some(granted) = offer.and_then(|offer| offer.grant()) {
            return Some(granted);
        }
        if last {
            return None;
        }
    }
}

/// The parameters of one offer.
#[derive(Default)]
struct Offer {
    server_alone: bool,
    client_alone: bool,
    server_bits: Option<u8>,
    client_bits: bool,
}

impl Offer {
    /// Takes in a parameter. One that is unknown, repeated, or has a value it must not have declines the offer.
    fn with(mut self, parameter: &str, value: Option<&str>) -> Option<Self> {
        let known = match (parameter, value) {
            ("server_no_context_takeover", None) => !std::mem::replace(&mut self.server_alone, true),
            ("client_no_context_takeover", None) => !std::mem::replace(&mut self.client_alone, true),
            ("server_max_window_bits", Some(bits)) => self.server_bits.replace(window_bits(bits)?).is_none(),
            ("client_max_window_bits", bits) => {
                // A hint that we need not answer: whatever window the client uses, ours to inflate is the largest.
                bits.is_none_or(|bits| window_bits(bits).is_some())
                    && !std::mem::replace(&mut self.client_bits, true)
            }
            _ => false,
        };
        known.then_some(self)
    }

    /// The answer, unless the server's window is to be one that no compressor here has (8 bits: zlib's is really 9 then).
    /// Declined, so that the client's next offer has its turn: answered and never used it would only look like compression.
    fn grant(&self) -> Option<(Window, HeaderValue)> {
        let Some(bits) = self.server_bits else {
            return Some((Window::MAX, HeaderValue::from_static(ANSWER)));
        };
        let answer = HeaderValue::try_from(format!("{ANSWER}; server_max_window_bits={bits}")).ok()?;
        Some((Window::of(bits)?, answer))
    }
}

/// 8 to 15 in decimal digits, without a leading zero.
fn window_bits(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|bits| digits && (8..=15).contains(bits))
}

/// What is left of a header value, read token by token.
struct Text<'t>(&'t str);

impl<'t> Text<'t> {
    fn skip_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn is_empty(&mut self) -> bool {
        self.skip_space();
        self.0.is_empty()
    }

    fn takes(&mut self, mark: char) -> bool {
        self.skip_space();
        let rest = self.0.strip_prefix(mark);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn token(&mut self) -> Option<&'t str> {
        self.skip_space();
        let end = self.0.find(|c| !is_token(c)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    /// A token, or one in quotes, in which a backslash stands before any character.
    fn value(&mut self) -> Option<Cow<'t, str>> {
        if !self.takes('"') {
            return self.token().map(Cow::Borrowed);
        }
        let mut value = String::new();
        let mut chars = self.0.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return (!value.is_empty()).then_some(Cow::Owned(value));
                }
                '\\' => value.push(chars.next().map(|(_, c)| c).filter(|c| is_token(*c))?),
                c if is_token(c) => value.push(c),
                _ => return None,
            }
        }
        None
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::{ANSWER, choose};
    use tungstenite::http::header::{HeaderMap, HeaderValue, SEC_WEBSOCKET_EXTENSIONS};

    /// The window agreed on and the answer's end behind what every answer has; `None` when nothing is granted.
    fn answer(lines: &[&str]) -> Option<(u8, String)> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let (window, answer) = choose(&headers)?;
        let rest = answer.to_str().unwrap().strip_prefix(ANSWER).unwrap();
        Some((window.bits(), rest.into()))
    }

    fn granted(offer: &str) {
        assert_eq!(answer(&[offer]), Some((15, String::new())), "{offer}");
    }

    fn declined(offer: &str) {
        assert_eq!(answer(&[offer]), None, "{offer}");
        let with_another = format!("{offer}, permessage-deflate");
        assert_eq!(answer(&[&with_another]), Some((15, String::new())), "{with_another}");
    }

    #[test]
    fn what_clients_offer_is_granted() {
        for offer in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate;client_max_window_bits=8",
            "permessage-deflate; client_max_window_bits=15; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            "permessage-deflate ;\tclient_max_window_bits = \"10\"",
            r#"permessage-deflate; client_max_window_bits="1\0""#,
            "x-webkit-deflate-frame, permessage-deflate",
            r#"other; a="x"; b, permessage-deflate"#,
        ] {
            granted(offer);
        }
    }

    #[test]
    fn the_servers_window_is_what_was_asked_for() {
        for bits in 9..=15 {
            let expected = Some((bits, format!("; server_max_window_bits={bits}")));
            for offer in [
                format!("permessage-deflate; server_max_window_bits={bits}"),
                format!("permessage-deflate; server_max_window_bits=\"{bits}\"; client_max_window_bits"),
                format!("permessage-deflate; client_max_window_bits=9; server_max_window_bits={bits}"),
            ] {
                assert_eq!(answer(&[&offer]), expected, "{offer}");
            }
        }
    }

    #[test]
    fn an_offer_that_asks_for_what_there_is_not_is_declined_and_the_next_one_looked_at() {
        for offer in [
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=09",
            "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; server_max_window_bits=x",
            "permessage-deflate; server_max_window_bits=300",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits=010",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover=true",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
            "permessage-deflate; unknown",
            "permessage-deflate; unknown=1; client_max_window_bits",
            "permessage-bzip2",
            "Permessage-Deflate",
        ] {
            declined(offer);
        }
    }

    #[test]
    fn the_first_offer_that_can_be_granted_decides() {
        let bits = |bits: u8| Some((bits, format!("; server_max_window_bits={bits}")));
        let nine = "permessage-deflate; server_max_window_bits=9";
        assert_eq!(answer(&[nine, "permessage-deflate"]), bits(9));
        assert_eq!(answer(&["permessage-deflate", nine]), Some((15, String::new())));
        assert_eq!(answer(&[&format!("permessage-deflate; server_max_window_bits=8, {nine}")]), bits(9));
        assert_eq!(answer(&["permessage-deflate; x", "other", nine]), bits(9));
        assert_eq!(answer(&[]), None);
    }

    #[test]
    fn what_is_no_list_of_extensions_offers_nothing() {
        for line in [
            "",
            ",",
            ";",
            "permessage-deflate;",
            "permessage-deflate; =9",
            "permessage-deflate; client_max_window_bits=",
            "permessage-deflate; client_max_window_bits=\"9",
            "permessage-deflate; client_max_window_bits=\"\"",
            "permessage-deflate; client_max_window_bits=\"9\\",
            "permessage-deflate; client_max_window_bits=\"9 \"",
            "permessage-deflate client_max_window_bits",
            "permessage-deflate/1",
            "\"permessage-deflate\"",
            "permessage-deflat\u{e9}",
        ] {
            assert_eq!(answer(&[line]), None, "{line}");
        }
    }
}
