//! The outermost message of a frame, without the box that the generated types put around each command and event:
//! one allocation less a message. Knows field numbers, and nothing of what is inside.

use super::schema::{self, client_frame::CommandView};
use buffa::encoding::{self, Tag, WireType};
use buffa::{DecodeError, DecodeOptions, MessageView, RECURSION_LIMIT, SizeCache, ViewEncode, types};

/// `id` in both frames: behind everything else, so that a frame's first byte tells what it is.
const ID: u32 = 15;

/// What all commands have in common, from one list: their field in `ClientFrame`, their type, their name in JSON.
macro_rules! commands {
    ($($number:literal $kind:ident $view:ident $name:literal)*) => {
        /// A command of the schema, borrowed from its frame.
        #[derive(Debug)]
        pub(super) enum Asked<'a> {
            $($kind(schema::$view<'a>),)*
        }

        impl<'a> Asked<'a> {
            /// Reads what stands in a field; `None` if no command does.
            fn read(number: u32, inner: &'a [u8]) -> Result<Option<Self>, DecodeError> {
                match number {
                    $($number => read_inside(inner).map(|asked| Some(Self::$kind(asked))),)*
                    _ => Ok(None),
                }
            }

            /// Its `type` in JSON.
            pub(super) fn name(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $name,)*
                }
            }
        }

        impl<'a> From<CommandView<'a>> for Asked<'a> {
            fn from(command: CommandView<'a>) -> Self {
                match command {
                    $(CommandView::$kind(asked) => Self::$kind(*asked),)*
                }
            }
        }

        fn is_command(number: u32) -> bool {
            [$($number),*].contains(&number)
        }
    };
}

commands! {
    1 Message SendMessageView "message"
    2 Auth AuthView "auth"
    3 JoinGroup JoinGroupView "joinGroup"
    4 LeaveGroup LeaveGroupView "leaveGroup"
    5 Members ListMembersView "members"
    6 Typing SendTypingView "typing"
    7 History ReadHistoryView "history"
    8 Ping PingView "ping"
    9 Received MarkReceivedView "received"
    10 Read MarkReadView "read"
    11 Sync RequestSyncView "sync"
}

/// Reads a message that stands in another: one level of nesting is spent.
fn read_inside<'a, V: MessageView<'a>>(inner: &'a [u8]) -> Result<V, DecodeError> {
    DecodeOptions::new().with_recursion_limit(RECURSION_LIMIT - 1).decode_view(inner)
}

/// A `ClientFrame`.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    /// Empty: none.
    pub(super) id: &'a str,
    /// None when there is none that is known.
    pub(super) command: Option<Asked<'a>>,
}

impl<'a> Envelope<'a> {
    /// Reads a whole frame. Whatever is unusual is left to the generated code, whose answer is the right one.
    pub(super) fn read(message: &'a [u8]) -> Result<Self, DecodeError> {
        let (mut rest, mut id, mut command) = (message, "", None);
        while !rest.is_empty() {
            let tag = Tag::decode(&mut rest)?;
            match (tag.field_number(), tag.wire_type()) {
                (ID, WireType::LengthDelimited) => id = types::borrow_str(&mut rest)?,
                (number, WireType::LengthDelimited) if is_command(number) && command.is_none() => {
                    command = Some((number, types::borrow_bytes(&mut rest)?));
                }
                (number, _) if number == ID || is_command(number) => return Self::read_plainly(message),
                _ => encoding::skip_field_depth(tag, &mut rest, RECURSION_LIMIT)?,
            }
        }
        let command = match command {
            Some((number, inner)) => Asked::read(number, inner)?,
            None => None,
        };
        Ok(Self { id, command })
    }

    /// The same by the generated types alone: also merges a command that comes in several pieces.
    pub(super) fn read_plainly(message: &'a [u8]) -> Result<Self, DecodeError> {
        let frame = schema::ClientFrameView::decode_view(message)?;
        Ok(Self { id: frame.id, command: frame.command.map(Asked::from) })
    }
}

/// An event of the schema.
pub(super) trait Said<'a>: ViewEncode<'a> {
    /// Its field in `ServerFrame`.
    const NUMBER: u32;
}

macro_rules! said {
    ($($number:literal $view:ident)*) => {
        $(impl<'a> Said<'a> for schema::$view<'a> {
            const NUMBER: u32 = $number;
        })*
    };
}

said! {
    1 MessageView 2 AckView 3 ErrorView 4 AuthenticatedView 5 JoinedView 6 LeftView 7 GroupEventView
    8 MembersView 9 HistoryView 10 TypingView 11 PongView 12 ResyncView 13 ExpiringView
    16 SyncView 17 ReceiptView
}

/// Appends a `ServerFrame`.
pub(super) fn write<'a, S: Said<'a>>(id: Option<&str>, event: &S, out: &mut Vec<u8>) {
    let mut sizes = SizeCache::new();
    let size = event.compute_size(&mut sizes);
    types::put_len_delimited_header(S::NUMBER, u64::from(size), out);
    out.reserve(size as usize);
    event.write_to(&mut sizes, out);
    if let Some(id) = id.filter(|id| !id.is_empty()) {
        types::put_string_field(ID, id, out);
    }
}

#[cfg(test)]
mod tests;
