//! How a connection ended, by kind. Knows no socket and no workload.
use std::fmt;

/// Why a connection is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Nobody listens there, or its queue is full.
    Refused,
    /// Reset by the other side.
    Reset,
    /// No answer to the connect.
    TimedOut,
    /// The other side ended it without a close frame.
    Eof,
    /// A close frame, with its code and reason; 1005 when it had none (RFC 6455, section 7.1.5).
    Closed(u16, String),
    /// The answer to the upgrade was another one.
    NoUpgrade(String),
    /// The answer to the upgrade was to come after so many seconds.
    Later(u64),
    /// What came is no WebSocket.
    Protocol(String),
    /// No TLS came about, or it broke.
    Tls(String),
    /// More waits unsent than the generator keeps.
    Backlog,
    /// Any other error of the system.
    System(i32),
    /// Our own wish.
    Asked,
}

impl End {
    /// By the system's error number.
    pub(crate) fn of_errno(errno: i32) -> Self {
        use rustix::io::Errno;
        match Errno::from_raw_os_error(errno) {
            Errno::CONNREFUSED => Self::Refused,
            Errno::CONNRESET | Errno::PIPE => Self::Reset,
            Errno::TIMEDOUT => Self::TimedOut,
            _ => Self::System(errno),
        }
    }

    /// The kind under which it is counted: few, however many reasons there are.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Refused => "refused".into(),
            Self::Reset => "reset".into(),
            Self::TimedOut => "timed out".into(),
            Self::Eof => "ended without a close frame".into(),
            Self::Closed(code, _) => format!("closed with {code}"),
            Self::NoUpgrade(_) => "no upgrade".into(),
            Self::Later(_) => "told to wait too often".into(),
            Self::Protocol(_) => "no WebSocket".into(),
            Self::Tls(_) => "no TLS".into(),
            Self::Backlog => "took nothing more".into(),
            Self::System(errno) => std::io::Error::from_raw_os_error(*errno).to_string(),
            Self::Asked => "asked for".into(),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind())?;
        match self {
            Self::Closed(_, why) | Self::NoUpgrade(why) | Self::Protocol(why) | Self::Tls(why)
                if !why.is_empty() =>
            {
                write!(f, ": {why}")
            }
            _ => Ok(()),
        }
    }
}
