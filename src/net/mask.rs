//! Takes the client's mask off a payload, whole or in pieces. Knows no frames.

/// The obvious way: byte by byte. Kept beside [`unmask`], which must agree with it.
pub fn unmask_plainly(bytes: &mut [u8], mask: [u8; 4], offset: usize) -> bool {
    let mut ascii = true;
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte ^= mask[offset.wrapping_add(at) & 3];
        ascii &= byte.is_ascii();
    }
    ascii
}

/// Unmasks `bytes` in place; `offset` payload bytes came before them.
///
/// Tells whether they are all ASCII, and so valid UTF-8 with no further look: it costs nothing here, and most chat is.
#[inline]
pub fn unmask(bytes: &mut [u8], mask: [u8; 4], offset: usize) -> bool {
    let key = u32::from_le_bytes(mask).rotate_right((offset as u32 & 3) * 8);
    let wide_key = u64::from(key) << 32 | u64::from(key);
    let mut seen = 0_u64;
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        let plain = u64::from_le_bytes(*word) ^ wide_key;
        seen |= plain;
        *word = plain.to_le_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(wide_key.to_le_bytes()) {
        *byte ^= key;
        seen |= u64::from(*byte);
    }
    seen & 0x8080_8080_8080_8080 == 0
}

#[cfg(test)]
mod tests {
    use super::{unmask, unmask_plainly};

    #[test]
    fn the_fast_way_agrees_with_the_plain_one() {
        let mask = [0x6d, 0xb6, 0x12, 0x80];
        for length in 0..70_usize {
            for offset in [0_usize, 1, 2, 3, 4, 7, usize::MAX] {
                for high_at in [None, Some(0), Some(length / 2), length.checked_sub(1)] {
                    let mut plain: Vec<u8> = (0..length).map(|n| (n * 7 % 128) as u8).collect();
                    if let Some(byte) = high_at.and_then(|at| plain.get_mut(at)) {
                        *byte |= 0x80;
                    }
                    let mut masked = plain.clone();
                    let ascii = plain.is_ascii();
                    unmask_plainly(&mut masked, mask, offset);
                    let mut fast = masked.clone();
                    assert_eq!(unmask(&mut fast, mask, offset), ascii, "length {length} offset {offset}");
                    assert_eq!(unmask_plainly(&mut masked, mask, offset), ascii);
                    assert_eq!(fast, plain);
                    assert_eq!(masked, plain);
                }
            }
        }
    }

    #[test]
    fn pieces_at_any_cut_give_the_whole() {
        let mask = [1, 2, 4, 0x88];
        let whole: Vec<u8> = (0..=99).collect();
        let mut expected = whole.clone();
        unmask_plainly(&mut expected, mask, 0);
        for cut in 0..=whole.len() {
            let mut pieces = whole.clone();
            let (head, tail) = pieces.split_at_mut(cut);
            unmask(head, mask, 0);
            unmask(tail, mask, cut);
            assert_eq!(pieces, expected, "cut at {cut}");
        }
    }
}
