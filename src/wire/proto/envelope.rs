//! The outermost message of a frame, without the box that the generated types put around each command and event:
//! one allocation less a message. Knows field numbers, and nothing of what is inside.

use super::schema::{self, client_frame::CommandView};
use buffa::encoding::{self, Tag, WireType};
use buffa::{DecodeError, MessageView, RECURSION_LIMIT, SizeCache, ViewEncode, types};

/// `id` in both frames: behind everything else, so that a frame's first byte tells what it is.
const ID: u32 = 15;

/// A command of the schema, borrowed from its frame.
#[derive(Debug)]
pub(super) enum Asked<'a> {
    Message(schema::SendMessageView<'a>),
    Auth(schema::AuthView<'a>),
    JoinGroup(schema::JoinGroupView<'a>),
    LeaveGroup(schema::LeaveGroupView<'a>),
    Members(schema::ListMembersView<'a>),
    Typing(schema::SendTypingView<'a>),
    History(schema::ReadHistoryView<'a>),
    Ping,
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
                (number @ 1..=8, WireType::LengthDelimited) if command.is_none() => {
                    command = Some((number, types::borrow_bytes(&mut rest)?));
                }
                (ID, WireType::LengthDelimited) => id = types::borrow_str(&mut rest)?,
                (1..=8 | ID, _) => return Self::read_plainly(message),
                _ => encoding::skip_field_depth(tag, &mut rest, RECURSION_LIMIT)?,
            }
        }
        let command = command.map(|(number, inner)| Asked::read(number, inner)).transpose()?;
        Ok(Self { id, command })
    }

    /// The same by the generated types alone: also merges a command that comes in several pieces.
    pub(super) fn read_plainly(message: &'a [u8]) -> Result<Self, DecodeError> {
        let frame = schema::ClientFrameView::decode_view(message)?;
        let command = frame.command.map(|command| match command {
            CommandView::Message(asked) => Asked::Message(*asked),
            CommandView::Auth(asked) => Asked::Auth(*asked),
            CommandView::JoinGroup(asked) => Asked::JoinGroup(*asked),
            CommandView::LeaveGroup(asked) => Asked::LeaveGroup(*asked),
            CommandView::Members(asked) => Asked::Members(*asked),
            CommandView::Typing(asked) => Asked::Typing(*asked),
            CommandView::History(asked) => Asked::History(*asked),
            CommandView::Ping(_) => Asked::Ping,
        });
        Ok(Self { id: frame.id, command })
    }
}

impl<'a> Asked<'a> {
    fn read(number: u32, inner: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(match number {
            1 => Self::Message(schema::SendMessageView::decode_view(inner)?),
            2 => Self::Auth(schema::AuthView::decode_view(inner)?),
            3 => Self::JoinGroup(schema::JoinGroupView::decode_view(inner)?),
            4 => Self::LeaveGroup(schema::LeaveGroupView::decode_view(inner)?),
            5 => Self::Members(schema::ListMembersView::decode_view(inner)?),
            6 => Self::Typing(schema::SendTypingView::decode_view(inner)?),
            7 => Self::History(schema::ReadHistoryView::decode_view(inner)?),
            _ => schema::PingView::decode_view(inner).map(|_| Self::Ping)?,
        })
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
