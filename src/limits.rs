//! The bounds that are not settings, with their units, and the relations between them. Knows nothing else.

/// Connections above this share of a ring's descriptor table go to the next ring (percent).
pub const RING_FILL_PERCENT: u32 = 90;
/// The largest descriptor table the kernel registers (slots).
pub const RING_SLOTS_MAX: u32 = 1 << 20;
/// Submission queue entries of a ring; a full queue is submitted at once.
pub const RING_SQ: u32 = 1024;
/// Completion queue entries of a ring; the kernel keeps what overflows and the counter `ring_overflow` moves.
pub const RING_CQ: u32 = 8192;
/// Places a server listens on (number).
pub const LISTENERS_MAX: usize = 8;
/// The path of a Unix socket (bytes): it fits into a socket's address with what the name of its lock has before it.
pub const UNIX_PATH_MAX: usize = 98;
/// Connections that wait to be accepted (number); the kernel clamps it to `net.core.somaxconn`.
pub const ACCEPT_BACKLOG: u32 = 65_535;
/// Single accepts under way in a table with less room than all who may wait need (number).
pub const ACCEPTS_AT_ONCE: u32 = 64;
/// Accepts of one core under way on a socket that all cores share (number): few, so that each core gets its turn.
pub const SHARED_ACCEPTS_AT_ONCE: u32 = 8;
/// How long a core waits after an accept that failed for want of something, or a listener that could not be opened, before it
/// tries again (ms): tried at once it would fail again, and the core would do nothing else.
pub const ACCEPT_RETRY_MS: u64 = 100;
/// Receive buffers of all rings of a core together (number); their memory is touched only as rings come into use.
pub const RECV_BUFFERS_PER_CORE: u32 = 8192;
/// Receive buffers of one ring at most (a power of two).
pub const RECV_BUFFERS_MAX: u16 = 256;
/// Receive buffers of one ring at least (a power of two).
pub const RECV_BUFFERS_MIN: u16 = 128;
/// One receive buffer (bytes).
pub const RECV_BUFFER_SIZE: usize = 2048;

/// The longest header of the PROXY protocol (bytes): what one without long extras fits into, as the protocol asks for, and a whole
/// Unix address with extras; a longer one closes the connection.
pub const PROXY_HEADER_MAX: usize = 536;
/// The longest HTTP request head (bytes) where `client.head_size_limit` says nothing else; longer ones get 431.
pub const REQUEST_HEAD_MAX: usize = 8192;
/// The largest message before sign-in (bytes), where `websocket.message_size_limit` is not less; a larger one closes with 1009.
pub const EARLY_MESSAGE_MAX: usize = 16 * 1024;
/// What a TLS connection holds of records that are not whole yet (bytes): a largest one (RFC 8446 section 5.2), or as much of a
/// handshake. More ends it.
pub const TLS_CARRIED_MAX: usize = 5 + 16 * 1024 + 2048;
/// A message comes in at most as many frames as the largest one has pieces of this size (bytes); more closes with 1009.
pub const FRAGMENT_SIZE: usize = 16;
/// Frames that a message may come in however small the largest one is (number).
pub const FRAGMENTS_MIN: usize = 64;
/// Blocks of a compressed message that say they are its last one (number): after each the inflater begins anew, which costs the
/// same whatever its size; more closes with 1007. Senders need one.
pub const LAST_BLOCKS_MAX: usize = 64;
/// Half-received messages of all connections of a shard (bytes); past it those that have taken longest are given up, their
/// connections closed with 3013, until [`RELIEF_PERCENT`] of it is held; first of all those of connections not signed in.
pub const ASSEMBLY_BYTES_PER_SHARD: usize = 256 * 1024 * 1024;
/// How long a closing connection may take to answer the close frame (ms).
pub const CLOSE_TIMEOUT_MS: u64 = 5_000;
/// Receives taken from a connection after its close began, in the hope of the peer's own close frame (number, of
/// [`RECV_BUFFER_SIZE`] at most); then it is read no further, and ends when its time is up.
pub const CLOSING_RECEIVES: u8 = 64;
/// Commands of one connection whose answers are not queued yet (number); less with a small `client.queue_max_size`.
/// Past it the connection is read no further until half of them are.
pub const COMMANDS_IN_FLIGHT: usize = 1024;
/// What an answer that is no page takes in a queue at most, about (bytes).
pub const ANSWER_COST: usize = 512;
/// The longest reason in a close frame (bytes, RFC 6455 section 5.5).
pub const CLOSE_REASON_MAX: usize = 123;

/// What was not used of a rate by the second and may be used at once (ms of it).
pub const RATE_BURST_MS: u32 = 2_000;
/// Upgrades that may come at once, as a part of those that may come in a second (ms of it).
pub const HANDSHAKE_BURST_MS: u32 = 250;
/// How long clients wait for a TLS handshake while more come than may be done, before all who wait are reset (ms).
pub const TLS_BACKLOG_WAIT_MS: u64 = 2_000;
/// Steps of TLS handshakes done in one turn (number): a handshake has two, of which one takes some 100 µs. The others wait.
pub const TLS_STEPS_PER_TURN: u32 = 16;
/// Steps that wait for their turn (number); past half of it no connection is accepted for one, past all
/// of it none begins. Where `rate.tls_handshakes` is 0 the connections are their bound.
pub const TLS_STEPS_WAITING: usize = 1024;
/// Clients that are sent away are told to come back after 1 to so many seconds, so that they do not come together again.
pub const RETRY_SPREAD_S: u64 = 5;
/// Messages that may follow one another into a wait that their sender was told of (number); one more closes with 3013.
pub const IGNORED_MAX: u32 = 100;
/// Users of a shard whose rates are known (number): those who did something lately. Past it all start afresh.
pub const RATED_USERS: usize = 1 << 20;
/// What `history` and `members`, which read a page, count for in a user's rate (messages).
pub const COST_OF_PAGE: u32 = 10;
/// What `sync`, which may read many, counts for in a user's rate (messages).
pub const COST_OF_SYNC: u32 = 20;
/// What `joinGroup` and `leaveGroup`, which are told to others, count for in a user's rate (messages).
pub const COST_OF_MEMBERSHIP: u32 = 5;

/// Frames copied together into one send at most (bytes); a larger single frame is sent as it is.
pub const COALESCE_MAX: usize = 64 * 1024;
/// Frames of this size and more are not copied together, but sent from where they lie (bytes); `docs/measurements.md`.
pub const VECTORED_MIN: usize = 4096;
/// Frames sent in one operation from where they lie (number); the kernel takes 1024 (`IOV_MAX`).
pub const VECTORED_FRAMES: usize = 64;
/// What a queued frame costs besides its bytes (bytes): its place in the queue and its allocation. Budgets count it.
pub const FRAME_COST: usize = 64;
/// Frames queued for one connection at most, besides its byte budget (number).
pub const OUTBOX_FRAMES_MAX: usize = 65_536;

/// Ephemeral frames queued for one connection at most (number); past it the oldest are dropped.
pub const OUTBOX_EPHEMERAL_MAX: usize = 1024;

/// Where slow connections held more together than they may, room is made until they hold this share of it (percent).
pub const RELIEF_PERCENT: usize = 75;
/// How much is queued at least between two looks at who holds how much (percent of what they may hold together): each costs time.
pub const RELIEF_LOOK_PERCENT: usize = 6;

/// Frames that a core knows in their compressed form while someone still sends them (number); past it the oldest is compressed anew.
pub const DEFLATED_FRAMES: usize = 64;
/// What a buffer that large messages have grown may keep when it has nothing to do (bytes).
pub const SCRATCH_KEPT: usize = 256 * 1024;

/// Batches waiting in a shard's mailbox (number); past it mail spills at its sender.
pub const MAILBOX_BATCHES: usize = 1024;
/// Mails in one batch (number).
pub const BATCH_MAILS: usize = 256;
/// Mails spilled per destination (number); past it commands get 503 and deliveries set `missed`.
pub const SPILL_MAILS: usize = 65_536;

/// Nesting of a payload's JSON (levels).
pub const JSON_DEPTH_MAX: usize = 64;
/// Names in one `members` answer (number).
pub const MEMBERS_PAGE: usize = 500;
/// Messages in one `history` answer (number).
pub const HISTORY_PAGE_MAX: u32 = 100;
/// Messages in a `history` answer whose request names no limit (number).
pub const HISTORY_PAGE: u32 = 20;
/// Conversations in one `sync` answer (number).
pub const SYNC_CONVERSATIONS: usize = 1000;
/// A `sync` answer (bytes), where `client.queue_max_size` is not less.
pub const SYNC_BYTES: usize = 512 * 1024;
/// Messages of one conversation in a `sync` answer (number).
pub const SYNC_MESSAGES: usize = 20;
/// `sync` answers that a shard is putting together (number); more get 503.
pub const SYNCS: usize = 4096;
/// The messages in them (bytes, about); past it conversations are told without messages.
pub const SYNCS_BYTES: usize = 64 * 1024 * 1024;
/// Unread messages of a conversation are counted up to here (number), and said to be so many beyond.
pub const UNREAD_MAX: u32 = 1000;
/// How long `received` and `read` may take to be in the log (ms): all that moves a cursor meanwhile is one record.
pub const CURSOR_WRITE_MS: u64 = 1000;
/// How long a receipt waits for others of the same user and conversation (ms).
pub const RECEIPT_MS: u64 = 100;
/// Members of the largest group in which receipts are given (number).
pub const RECEIPT_MEMBERS_MAX: u32 = 50;
/// Cursors of a shard that wait to be written (number); past it `received` and `read` get 503.
pub const CURSORS_WAITING: usize = 65_536;
/// Of either, those dealt with in one turn (number).
pub const CURSORS_PER_TURN: usize = 256;
/// Receipts of a shard that wait for others (number); past it they are dropped.
pub const RECEIPTS_WAITING: usize = 65_536;
/// Conversations that one `sync` may name cursors for (number); more is refused with 400.
pub const SYNC_CURSORS_MAX: usize = 1000;
/// The token of a `sync` answer that asks for the next page (bytes).
pub const SYNC_TOKEN_MAX: usize = 256;
/// What a `sync` answer takes beside its conversations, its frame's header and [`FRAME_COST`] included (bytes, at most).
pub const SYNC_ENVELOPE: usize = 1024;
/// What a conversation in a `sync` answer takes beside its name and its messages (bytes, at most).
pub const SYNCED_ENVELOPE: usize = 160;
/// What a stored message takes in any encoding beside its content, names and `id` (bytes, at most).
pub const MESSAGE_ENVELOPE: usize = 192;
/// What a `history` answer takes beside its messages, its frame's header and [`FRAME_COST`] included (bytes, at most).
pub const HISTORY_ENVELOPE: usize = 1024;
/// Commands that wait while their conversation is activated (number); more get 503.
pub const ACTIVATION_QUEUE: usize = 1024;
/// Commands that wait for activations, of all conversations of a shard together (bytes); more get 503.
pub const ACTIVATION_BYTES: usize = 64 * 1024 * 1024;
/// Messages that an activation may always look at for their ids (number).
pub const ACTIVATION_IDS: usize = 1024;
/// The part of what is left of the budget for ids that one activation may look at (one of so many).
pub const ACTIVATION_IDS_SHARE: usize = 16;
/// Content that an activation reads for ids (bytes): its commands wait for it.
pub const ACTIVATION_IDS_BYTES: usize = 64 * 1024 * 1024;
/// Conversations looked at to find one that can be evicted (number); if none can, the new one gets 503.
pub const EVICTION_SCAN: u32 = 256;
/// Reads of the view under way on a shard (number); more get 503.
pub const READS: usize = 4096;
/// Repeated commands that wait for the commit of the first (number, for each commit); more get 503.
pub const COMMIT_WAITERS: usize = 16;
/// Broadcasts that wait their turn (number); more get 503.
pub const BROADCAST_QUEUE: usize = 16;
/// Fan-out jobs of a shard (number); past it jobs are dropped and the group's sessions told to `resync`.
pub const FANOUT_JOBS: usize = 65_536;
/// Sends that one conversation's fan-out makes before the next one's turn (number).
pub const FANOUT_QUANTUM: u32 = 32;
/// Messages of one group that are brought to its members together (number): a member gets them in one send.
pub const FANOUT_TOGETHER: usize = 32;
/// Places a fan-out looks at for each send it may make (number); most of them may be vacant.
pub const FANOUT_VISITS: u32 = 16;

/// Records in a shard's memory log, queued or not yet applied (number); more are refused and get 503.
pub const MEMORY_LOG_RECORDS: usize = 65_536;
/// The same in bytes of content.
pub const MEMORY_LOG_BYTES: usize = 64 * 1024 * 1024;
/// Conversations whose head is remembered after their last message was dropped (number, per shard).
pub const MEMORY_VIEW_HEADS: usize = 1 << 20;

/// The records of one commit of the log (bytes); what is queued beyond them waits for the next one.
pub const COMMIT_BYTES_MAX: usize = 1024 * 1024;
/// A segment of the log is read so many bytes at a time when a store is opened, and the largest commit besides.
pub const SEGMENT_READ: usize = 1024 * 1024;
/// What a message takes in a commit beside its content: names, id and numbers (bytes, at most).
pub const RECORD_OVERHEAD: usize = 4096;
/// The largest content of a message that is stored (bytes).
pub const MESSAGE_STORED_MAX: usize = COMMIT_BYTES_MAX - RECORD_OVERHEAD;
/// Commits that wait for the view's thread (bytes); past it the log's thread waits too.
pub const BACKLOG_BYTES: usize = 8 * 1024 * 1024;
/// Records applied to the view at once (bytes, about).
pub const APPLY_BYTES: usize = 1024 * 1024;
/// Records applied to the view between two times that it is put on the disk (bytes), those that a start finds in the log included.
pub const PERSIST_BYTES: u64 = 32 * 1024 * 1024;
/// What of the view is in memory only (bytes); the log waits while it is more.
pub const VIEW_BUFFER: u64 = 56 * 1024 * 1024;
/// Files of the view that are kept open (number).
pub const VIEW_FILES: usize = 256;
/// Threads that read the view (number).
pub const STORE_READERS: usize = 2;
/// Records of one shard without an outcome yet (number); more get 503.
pub const PORT_RECORDS: usize = 65_536;
/// The same in bytes, about.
pub const PORT_BYTES: usize = 64 * 1024 * 1024;
/// Numbers of messages reserved on the disk at a time; more are reserved when half of them are given.
pub const SEQ_BLOCK: u64 = 1 << 20;
/// Reads of one shard under way (number); more get 503.
pub const PORT_READS: usize = 65_536;
/// Trims of one shard that wait for its log, or for an outcome (number); more are asked for again later.
pub const TRIMS_WAITING: usize = 1024;
/// Conversations and messages that the trimmer looks at before it rests (number, about).
pub const LOOKED_AT_ONCE: usize = 4096;
/// A line of an export (bytes): the largest stored message, each byte of it escaped; a longer one is refused.
pub const EXPORT_LINE_MAX: u64 = 6 * COMMIT_BYTES_MAX as u64;

const _: () = assert!(RECV_BUFFERS_MAX.is_power_of_two() && RECV_BUFFERS_MIN.is_power_of_two());
const _: () = assert!(RECV_BUFFERS_MAX >= RECV_BUFFERS_MIN);
const _: () = assert!(RING_CQ >= 4096 && RING_CQ >= 2 * RING_SQ);
const _: () = assert!(LISTENERS_MAX <= ACCEPTS_AT_ONCE as usize && LISTENERS_MAX <= u8::MAX as usize);
const _: () = assert!(PROXY_HEADER_MAX <= RECV_BUFFER_SIZE);
const _: () = assert!(COMMANDS_IN_FLIGHT <= u16::MAX as usize);
const _: () = assert!(HISTORY_PAGE <= HISTORY_PAGE_MAX);
const _: () = assert!(COST_OF_SYNC > COST_OF_PAGE && RECEIPT_MS < CURSOR_WRITE_MS);
const _: () = assert!(HANDSHAKE_BURST_MS <= RATE_BURST_MS);
/// The largest message that a client may be allowed to send (bytes): there is room for it beside others that are half-received.
pub const MESSAGE_MAX: usize = 64 * 1024 * 1024;
// As it comes it may be a quarter larger, compressed.
const _: () = assert!(MESSAGE_MAX / 4 * 5 + 1024 <= ASSEMBLY_BYTES_PER_SHARD / 100 * RELIEF_PERCENT);
const _: () = assert!(RING_FILL_PERCENT < 100);
