//! Every bound of the generator, with its unit.
use std::time::Duration;

/// Bytes that one read may bring; also the largest frame taken from a server, header included.
pub(crate) const READ_BYTES: usize = 4 << 20;

/// Bytes of a thread's messages that came in pieces, as long as their last piece is missing.
pub(crate) const PIECES_BYTES: usize = 64 << 20;

/// Bytes of an upgrade's answer.
pub(crate) const UPGRADE_BYTES: usize = 16 << 10;

/// Bytes waiting unsent in one thread before connections that are far behind are ended.
pub(crate) const BACKLOG_BYTES: usize = 64 << 20;

/// Counts remembered as missing in one stream.
pub(crate) const MISSING_MAX: usize = 1024;

/// Connections opened and not yet upgraded, per thread.
pub(crate) const OPENING_MAX: usize = 256;

/// Connections that one source address is good for: the kernel's default range has 28,000 ports, and when half of them are
/// taken, looking for a free one takes it so long that a hundred connections a second remain.
pub(crate) const PER_SOURCE: usize = 12_000;

/// Bytes of a dialect's file.
pub(crate) const DIALECT_BYTES: u64 = 64 << 10;

/// Source addresses of a run.
pub(crate) const SOURCES_MAX: usize = 4096;

/// Source addresses used when none were named and one is not enough: 1.5 million connections on this machine.
pub(crate) const SOURCES_DEFAULT: usize = 128;

/// Bytes of half frames kept in one thread; past it the connection that brings more is ended.
pub(crate) const CARRIED_BYTES: usize = 64 << 20;

/// Completions handled between two looks at the schedule.
pub(crate) const BATCH: usize = 256;

/// Receive buffers of all rings of a thread together, of one ring at least, and of one ring at most (powers of two; 2 KiB
/// each): few rings have many connections at work, many rings have connections at rest.
pub(crate) const RECV_BUFFERS: usize = 8192;
pub(crate) const RECV_BUFFERS_MIN: usize = 128;
pub(crate) const RECV_BUFFERS_MAX: usize = 1024;

/// Files that are open beside the direct descriptors, which count against a limit of the same size.
pub(crate) const SLOTS_SPARE: u64 = 16;

/// Connections looked at, twice a second, for having fallen silent.
pub(crate) const DEMOTE_MAX: usize = 20_000;

/// Nanoseconds that a thread sleeps at most: how late it can see that a run has begun or ended.
pub(crate) const NAP_NS: u64 = 5_000_000;

/// Nanoseconds before a message is due from which a thread no longer sleeps.
pub(crate) const SPIN_NS: u64 = 100_000;

/// Kinds of failed connections told apart: a server may close with any code.
pub(crate) const FAILURE_KINDS_MAX: usize = 32;

/// Milliseconds that a run reads on when all has come, within `--drain`: what comes twice, or to someone else, may come last.
pub(crate) const LINGER_MS: u64 = 150;

/// Milliseconds before the measured window in which the server's metrics page is asked for; it may take half of what is left.
pub(crate) const PAGE_MS: u64 = 500;

/// Processes of a server, and generations of them, that are looked at.
pub(crate) const PROCESSES_MAX: usize = 512;
pub(crate) const GENERATIONS_MAX: usize = 8;

/// Reasons kept for the report.
pub(crate) const NOTES_MAX: usize = 8;

/// Moments of a run under load: runs beyond eleven minutes have longer moments.
pub(crate) const MOMENTS_MAX: u64 = 660;

/// Moments of a set-up.
pub(crate) const SETUP_MOMENTS_MAX: usize = 300;

/// Bytes of a server's metrics page.
pub(crate) const PAGE_BYTES: u64 = 4 << 20;

/// Series taken from it.
pub(crate) const SERIES_MAX: usize = 4096;

/// Connections from which on a run waits for the kernel to take back their memory, and for how many seconds.
pub(crate) const SETTLE_FROM: u64 = 10_000;
pub(crate) const SETTLE_SECONDS: u64 = 30;

/// Seconds for everyone to connect and sign in, plus one for each thousand connections.
pub(crate) const SETUP_SECONDS: u64 = 30;

/// Users of a thread who begin their conversations, or ask for all that they have, at the same time.
pub(crate) const STORM_BEGINNING: usize = 256;

/// Connections that a storm lets go between two looks at the schedule.
pub(crate) const STORM_SLICE: usize = 64;

/// Attempts of one connection to come back, after the first.
pub(crate) const RETRIES_MAX: u8 = 12;

/// Nanoseconds before the first of them, and before a late one; jitter makes it half of that to one and a half.
pub(crate) const RETRY_NS: u64 = 100_000_000;
pub(crate) const RETRY_MAX_NS: u64 = 5_000_000_000;

/// How often a connection that is told to come later (HTTP 503 with `Retry-After`) does so, and the seconds that it waits at most
/// each time: a million at 30,000 a second are told a dozen times.
pub(crate) const TOLD_MAX: u8 = 100;
pub(crate) const TOLD_SECONDS_MAX: u64 = 60;

/// Messages of one writer whose acks are timed at a time.
pub(crate) const UNACKED_MAX: usize = 1 << 20;

/// How long raw syncs are measured before a run, and the pause between two beside it.
pub(crate) const SYNC_IDLE: Duration = Duration::from_secs(1);
pub(crate) const SYNC_EVERY: Duration = Duration::from_millis(50);

/// Connections that a churn may be behind before it leaves some out.
pub(crate) const CHURN_BEHIND_MAX: usize = 100_000;

/// Connections that a churn keeps away, ready to come: a tenth of all, at most.
pub(crate) const CHURN_SPARE_MAX: usize = 100;

/// Nanoseconds that a churn waits for a close frame's answer before it cuts the connection.
pub(crate) const CHURN_CLOSE_NS: u64 = 3_000_000_000;

/// Conversations that a blend draws until it finds one whose writer is still there.
pub(crate) const DRAWS_MAX: usize = 32;

/// Rates that `rampup` tries.
pub(crate) const RAMPUP_STEPS_MAX: usize = 40;

/// How long a user's token is good for: longer than any run.
pub(crate) const TOKEN_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// How hard messages are compressed: the fastest level, as Longwire's own default is.
pub(crate) const COMPRESS_LEVEL: u32 = 1;

/// Bytes kept of one connection's TLS records that are not whole yet: a handshake's messages and a record.
pub(crate) const TLS_CARRIED_BYTES: usize = 96 << 10;

/// Tickets of TLS sessions kept for connections to come, some 1.5 KB each.
pub(crate) const TICKETS_MAX: usize = 100_000;
