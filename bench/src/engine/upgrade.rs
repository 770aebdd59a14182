//! The client's side of the upgrade to WebSocket. Knows no socket.
use crate::limits::UPGRADE_BYTES;
use memchr::memmem;
use std::net::SocketAddr;

/// The key of RFC 6455's own example and its answer: one pair is enough to know that the server computes it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The request.
pub(crate) fn request(server: SocketAddr, path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// The answer's length when it is whole and an upgrade; `None` when more bytes are needed.
pub(crate) fn answered(bytes: &[u8]) -> Result<Option<usize>, String> {
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
    Ok(Some(end + 4))
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
        assert_eq!(answered(&[answer, b"\x81\x00" as &[u8]].concat()), Ok(Some(answer.len())));
        assert_eq!(answered(&answer[..answer.len() - 1]), Ok(None));
        let refused = answered(b"HTTP/1.1 503 Busy\r\nx: y\r\n\r\n").unwrap_err();
        assert!(refused.contains("503"), "{refused}");
        assert!(answered(b"HTTP/1.1 101 OK\r\n\r\n").is_err());
        assert!(answered(&[b'x'; UPGRADE_BYTES + 1]).is_err());
    }
}
