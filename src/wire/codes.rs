//! Every public code in one place: errors in answers, and close codes that carry the advice to reconnect or not.

/// A code in an `error` answer; the connection lives on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum ErrorCode {
    /// The command is malformed.
    BadRequest = 400,
    /// Not signed in yet.
    Unauthorized = 401,
    /// Not allowed, also for conversations one may not see.
    Forbidden = 403,
    /// Unknown.
    NotFound = 404,
    /// The same id with other content.
    Conflict = 409,
    /// The payload is over `message.size_limit`.
    TooLarge = 413,
    /// Too fast; `retryAfter` says how long to wait.
    TooMany = 429,
    /// A fault of the server's own.
    Internal = 500,
    /// Try later.
    Unavailable = 503,
}

impl ErrorCode {
    /// The number on the wire.
    pub fn number(self) -> u16 {
        self as u16
    }
}

/// A WebSocket close code. 3000-3499 and 4000-4499: reconnect; 3500-3999 and 4500-4999: do not (RFC 6455 section 7.4 for 1xxx).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum CloseCode {
    /// RFC 6455: done.
    Normal = 1000,
    /// RFC 6455: the endpoint goes away.
    Away = 1001,
    /// RFC 6455: a violation of the protocol.
    Protocol = 1002,
    /// RFC 6455: a kind of data that is not accepted here.
    Unsupported = 1003,
    /// RFC 6455: not what its type says (not UTF-8, not JSON).
    Invalid = 1007,
    /// RFC 6455: the message is over the limit.
    TooBig = 1009,
    /// The server drains; the reason says `retryAfter=ms`.
    Draining = 3000,
    /// A fault of the server's own.
    Internal = 3004,
    /// The token ran out.
    Expired = 3005,
    /// The client reads too slowly.
    TooSlow = 3008,
    /// No sign of life for two heartbeats.
    NoPong = 3012,
    /// The client ignored its limits for too long.
    TooMany = 3013,
    /// The credentials are wrong.
    BadToken = 3500,
    /// A request that cannot be understood.
    BadRequest = 3501,
    /// Nobody signed in within the time allowed.
    NeverSignedIn = 3502,
    /// The same device signed in again, or the session was kicked.
    Replaced = 3503,
    /// The user has too many connections already.
    ConnectionLimit = 3504,
    /// The permission was withdrawn.
    Denied = 3507,
}

impl CloseCode {
    /// The number on the wire.
    pub fn number(self) -> u16 {
        self as u16
    }
}
