//! The short answers to requests that are no upgrade or may not have one. Knows no socket.

use super::Head;
use super::page::File;

/// Answered to a request whose head is larger than allowed.
pub const HEAD_TOO_LONG: u16 = 431;

/// Why a request gets an answer instead of a WebSocket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// No refusal at all: someone looks at `/` to see what this is.
    Greeting,
    /// Nor this: dev mode shows the demo chat.
    Page(&'static File),
    /// Not HTTP.
    Malformed,
    /// HTTP/1.0.
    HttpVersion,
    /// Plain HTTP where TLS is spoken.
    Plain,
    /// `Host` is missing.
    Host,
    /// Not a (valid) WebSocket upgrade.
    Upgrade,
    /// The page that asks is not of this server and not listed.
    Origin,
    /// Dev mode is for this machine only.
    NotLoopback,
    /// Neither `/` nor `/ws`.
    Path,
    /// Neither GET nor HEAD.
    Method,
    /// A WebSocket version other than 13.
    WebSocketVersion,
    /// More than a request may have.
    HeadTooLong,
    /// The head did not come in time.
    Timeout,
    /// Its address has too many connections; after so many seconds it may have fewer.
    Crowded(u64),
    /// Too many want to connect; after so many seconds there may be room.
    Busy(u64),
}

const GREETING: &str = "\
This is a Longwire server: instant messaging over WebSocket.

Connect a WebSocket client to this address, path / or /ws. Messages are JSON
objects, one per text frame (subprotocol longwire.json.v1), or Protobuf in binary
frames (subprotocol longwire.proto.v1). In dev mode, sign in with
    {\"type\":\"auth\",\"username\":\"alice\"}
and say something to a user with
    {\"type\":\"message\",\"to\":\"bob\",\"message\":\"hello\"}
Every message, field and limit is described in docs/protocol.md of the project.
";

impl Refusal {
    fn status(self) -> u16 {
        match self {
            Self::Greeting | Self::Page(_) => 200,
            Self::Malformed | Self::HttpVersion | Self::Plain | Self::Host | Self::Upgrade => 400,
            Self::Origin | Self::NotLoopback => 403,
            Self::Path => 404,
            Self::Method => 405,
            Self::WebSocketVersion => 426,
            Self::HeadTooLong => HEAD_TOO_LONG,
            Self::Timeout => 408,
            Self::Crowded(_) => 429,
            Self::Busy(_) => 503,
        }
    }

    /// The status line and the header fields that this answer alone has.
    fn opening(self) -> &'static str {
        match self.status() {
            200 => "HTTP/1.1 200 OK\r\n",
            403 => "HTTP/1.1 403 Forbidden\r\n",
            404 => "HTTP/1.1 404 Not Found\r\n",
            405 => "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n",
            408 => "HTTP/1.1 408 Request Timeout\r\n",
            426 => "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            429 => "HTTP/1.1 429 Too Many Requests\r\n",
            HEAD_TOO_LONG => "HTTP/1.1 431 Request Header Fields Too Large\r\n",
            503 => "HTTP/1.1 503 Service Unavailable\r\n",
            _ => "HTTP/1.1 400 Bad Request\r\n",
        }
    }

    fn body(self) -> &'static str {
        match self {
            Self::Greeting => GREETING,
            Self::Page(file) => file.body,
            Self::Malformed => "This is not a valid HTTP/1.1 request.\n",
            Self::Plain => "This address speaks TLS: connect with wss:// (or https://).\n",
            Self::HttpVersion => "HTTP/1.1 is required.\n",
            Self::Host => "A Host header is required.\n",
            Self::Upgrade => {
                "This is a WebSocket endpoint; the request is not a valid WebSocket upgrade (RFC 6455).\n"
            }
            Self::Origin => {
                "This web page's origin may not connect; it can be listed in client.allowed_origins.\n"
            }
            Self::NotLoopback => "In dev mode, connect by localhost, 127.x.x.x or [::1].\n",
            Self::Path => "Nothing is here; the WebSocket endpoints are / and /ws.\n",
            Self::Method => "Only GET and HEAD are understood here.\n",
            Self::WebSocketVersion => "WebSocket version 13 is required.\n",
            Self::HeadTooLong => "The request's header fields are too long.\n",
            Self::Timeout => "The request did not come in time.\n",
            Self::Crowded(_) => "This address has too many connections; try later.\n",
            Self::Busy(_) => "Too many clients are connecting; try later.\n",
        }
    }

    /// The whole response.
    pub(super) fn response(self) -> Vec<u8> {
        let (opening, body) = (self.opening(), self.body());
        let mut response = String::with_capacity(opening.len() + 512 + body.len());
        response.push_str(opening);
        if let Self::Busy(seconds) | Self::Crowded(seconds) = self {
            response.push_str("Retry-After: ");
            response.push_str(&seconds.to_string());
            response.push_str("\r\n");
        }
        match self {
            Self::Page(file) => response.extend(file.fields()),
            _ => response.push_str("Content-Type: text/plain; charset=utf-8\r\n"),
        }
        response.push_str("Connection: close\r\nContent-Length: ");
        response.push_str(&body.len().to_string());
        response.push_str("\r\n\r\n");
        response.push_str(body);
        response.into_bytes()
    }

    pub(super) fn into_head(self) -> Head {
        Head::Answer { response: self.response(), status: self.status() }
    }
}
