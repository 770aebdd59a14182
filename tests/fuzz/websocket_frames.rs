//! What holds for any bytes that arrive behind the upgrade, in any pieces. Knows no message's meaning.

use crate::oracle::{End, Outcome, ours, theirs};
use longwire::net::inbound::Limits;

/// The largest messages tried (bytes), from the least that may be set; control frames are always below it.
const LIMITS: [usize; 4] = [128, 200, 1000, 65_536];

/// The stream, behind a byte that chooses the largest message and two that choose how it is cut, is the same messages to tungstenite
/// as to us, up to the same end; cut otherwise it is so to us, with compression agreed on too.
pub fn websocket_frames(data: &[u8]) {
    let Some((&[limit, first, second], stream)) = data.split_first_chunk() else { return };
    let limit = LIMITS[usize::from(limit) % LIMITS.len()];
    let sizes = [1 + usize::from(first), 1 + usize::from(second)];
    for deflate in [false, true] {
        let limits = Limits { message_max: limit, fragments_max: 0, deflate };
        let whole = ours(stream, &[stream.len().max(1)], &limits);
        assert_eq!(whole, ours(stream, &sizes, &limits), "cut into {sizes:?}");
        if !deflate {
            agrees(whole, theirs(stream, sizes[0], limit));
        }
    }
}

/// The same messages, an error here wherever there is one there, and of the same kind; see [`crate::oracle`] for where they differ.
fn agrees((our_events, our_end): Outcome, (their_events, their_end): Outcome) {
    if our_end == End::Endless {
        return assert!(their_events.starts_with(&our_events));
    }
    assert_eq!(our_events, their_events);
    match (our_end, their_end) {
        // Differences 3 and 4: a size is judged before what the frame is there, and text by its first impossible byte here.
        (End::Fails(ours), End::Fails(theirs)) => {
            let fit = ours == theirs || theirs == 1009 || ours == 1007 || (ours, theirs) == (1002, 1007);
            assert!(fit, "{ours} here, {theirs} there");
        }
        (End::Fails(_), End::Waits) => {}
        (ours, theirs) => assert_eq!(ours, theirs),
    }
}
