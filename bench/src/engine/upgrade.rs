//! The client's side of the upgrade to WebSocket. Knows no socket.
use super::{End, deflate};
use crate::limits::UPGRADE_BYTES;
use memchr::memmem;
use std::net::SocketAddr;

/// The key of RFC 6455's own example and its answer: one pair is enough to know that the server computes it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The headers that say which subprotocol is spoken, and what was agreed on beside it.
const PROTOCOL: &str = "Sec-WebSocket-Protocol";
const EXTENSIONS: &str = "Sec-WebSocket-Extensions";

/// The header that says after how many seconds to come again.
const RETRY_AFTER: &str = "Retry-After";

/// What a connection asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) server: SocketAddr,
    pub(crate) path: &'a str,
    /// The one subprotocol that is spoken, if any.
    pub(crate) subprotocol: Option<&'a str>,
    /// A token that says who connects.
    pub(crate) bearer: Option<&'a str>,
    /// Whether messages are to be compressed.
    pub(crate) compress: bool,
}

impl Wish<'_> {
    /// The request.
    pub(crate) fn request(self) -> Vec<u8> {
        let Self { server, path, .. } = self;
        let wanted = self.subprotocol.map_or_else(String::new, |name| format!("{PROTOCOL}: {name}\r\n"));
        let bearer =
            self.bearer.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
        let offer =
            if self.compress { format!("{EXTENSIONS}: {}\r\n", deflate::OFFER) } else { String::new() };
        format!(
            "GET {path} HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{wanted}{offer}{bearer}\r\n"
        )
        .into_bytes()
    }
}

/// The answer's length when it is whole and an upgrade, to the subprotocol where one was asked for, and to compression where that was;
/// `None` when more bytes are needed.
pub(crate) fn answered(
    bytes: &[u8],
    subprotocol: Option<&str>,
    compress: bool,
) -> Result<Option<usize>, End> {
    let head = bytes.strip_prefix(b"HTTP/1.1 503");
    if let Some(head) = head.filter(|head| memmem::find(head, b"\r\n\r\n").is_some())
        && let Some(seconds) = header(head, RETRY_AFTER)
        && let Some(seconds) = str::from_utf8(seconds).ok().and_then(|seconds| seconds.parse().ok())
    {
        return Err(End::Later(seconds));
    }
    upgraded(bytes, subprotocol, compress).map_err(End::NoUpgrade)
}

fn upgraded(bytes: &[u8], subprotocol: Option<&str>, compress: bool) -> Result<Option<usize>, String> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > UPGRADE_BYTES {
            Err("an endless answer to the upgrade".into())
        } else {
            Ok(None)
        };
    };
    let head = &bytes[..end];
    if !head.starts_with(b"HTTP/1.1 101") {
        let line = head.split(|&byte| byte == b'\r').next().unwrap_or(head);
        return Err(format!("no upgrade: {}", String::from_utf8_lossy(line)));
    }
    if memmem::find(head, ACCEPT).is_none() {
        return Err("a wrong Sec-WebSocket-Accept".into());
    }
    if let Some(wanted) = subprotocol {
        // A server that does not know it speaks something else from here on.
        match header(head, PROTOCOL) {
            Some(selected) if selected == wanted.as_bytes() => {}
            Some(other) => {
                let other = String::from_utf8_lossy(other);
                return Err(format!("asked for {wanted}, the server selected {other}"));
            }
            None => return Err(format!("asked for {wanted}, the server selected no subprotocol")),
        }
    }
    if compress {
        deflate::granted(header(head, EXTENSIONS))?;
    }
    Ok(Some(end + 4))
}

/// A header's value.
fn header<'h>(head: &'h [u8], wanted: &str) -> Option<&'h [u8]> {
    head.split(|&byte| byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(wanted.len())?;
        let value = value.strip_prefix(b":").filter(|_| name.eq_ignore_ascii_case(wanted.as_bytes()))?;
        Some(value.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_and_its_answer_belong_together() {
        assert_eq!(tungstenite::handshake::derive_accept_key(KEY.as_bytes()).as_bytes(), ACCEPT);
    }

    #[test]
    fn an_upgrade_is_taken_and_anything_else_is_named() {
        let answer =
            b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert_eq!(answered(&[answer, b"\x81\x00" as &[u8]].concat(), None, false), Ok(Some(answer.len())));
        assert_eq!(answered(&answer[..answer.len() - 1], None, false), Ok(None));
        let refused = upgraded(b"HTTP/1.1 503 Busy\r\nx: y\r\n\r\n", None, false).unwrap_err();
        assert!(refused.contains("503"), "{refused}");
        let busy = b"HTTP/1.1 503 Service Unavailable\r\nx: y\r\nretry-after: 3\r\n\r\nbusy";
        assert_eq!(answered(busy, None, false), Err(End::Later(3)));
        assert_eq!(answered(&busy[..40], None, false), Ok(None));
        assert!(answered(b"HTTP/1.1 101 OK\r\n\r\n", None, false).is_err());
        assert!(answered(&[b'x'; UPGRADE_BYTES + 1], None, false).is_err());
    }

    #[test]
    fn compression_that_was_asked_for_has_to_be_granted() {
        let server = ([127, 0, 0, 1], 1).into();
        let wish = Wish { server, path: "/", subprotocol: None, bearer: None, compress: true };
        let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no";
        assert!(String::from_utf8(wish.request()).unwrap().contains(offer));
        let answer = |more: &str| {
            let key = String::from_utf8_lossy(ACCEPT);
            upgraded(
                format!("HTTP/1.1 101 OK\r\nsec-websocket-accept: {key}\r\n{more}\r\n").as_bytes(),
                None,
                true,
            )
        };
        assert!(answer("").unwrap_err().contains("granted none"));
        let granted = "sec-websocket-extensions: permessage-deflate; server_no_context_takeover\r\n";
        assert!(matches!(answer(granted), Ok(Some(_))));
    }

    #[test]
    fn a_subprotocol_that_was_asked_for_has_to_be_selected() {
        let server = ([127, 0, 0, 1], 1).into();
        let wish = Wish { server, path: "/", subprotocol: Some("a.v1"), bearer: None, compress: false };
        assert!(wish.request().ends_with(b"\r\nSec-WebSocket-Protocol: a.v1\r\n\r\n"));
        let request = Wish { subprotocol: None, bearer: Some("t.o.k"), ..wish }.request();
        assert!(request.ends_with(b"\r\nAuthorization: Bearer t.o.k\r\n\r\n"));
        let answer = |more: &str| {
            let key = String::from_utf8_lossy(ACCEPT);
            let head = format!("HTTP/1.1 101 OK\r\nsec-websocket-accept: {key}\r\n{more}\r\n");
            upgraded(head.as_bytes(), Some("a.v1"), false)
        };
        for good in ["sec-websocket-protocol: a.v1\r\n", "x: y\r\nSEC-WebSocket-Protocol:a.v1 \r\nz: z\r\n"] {
            assert!(matches!(answer(good), Ok(Some(_))), "{good}");
        }
        for (bad, said) in [
            ("", "selected no subprotocol"),
            ("sec-websocket-protocol: a.v2\r\n", "selected a.v2"),
            ("sec-websocket-protocol: a.v1, a.v2\r\n", "selected a.v1, a.v2"),
            ("x-sec-websocket-protocol: a.v1\r\n", "selected no subprotocol"),
        ] {
            let error = answer(bad).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
