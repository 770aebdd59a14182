//! Checks text that arrives in pieces, failing at the first byte that no continuation can mend. Knows no frames.

/// Text that is not UTF-8, whatever follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotUtf8;

/// Checks `text` from `checked` on and returns how far it is now known to be valid: at most three bytes short of the end, when the
/// last character has not fully arrived.
///
/// # Errors
/// [`NotUtf8`] as soon as the bytes so far cannot be the start of any valid text.
pub fn extend_check(text: &[u8], checked: usize) -> Result<usize, NotUtf8> {
    match simdutf8::compat::from_utf8(&text[checked..]) {
        Ok(_) => Ok(text.len()),
        Err(error) if error.error_len().is_none() => Ok(checked + error.valid_up_to()),
        Err(_) => Err(NotUtf8),
    }
}

/// Whether `text`, all of it, is valid.
#[inline]
pub fn is_utf8(text: &[u8]) -> bool {
    simdutf8::basic::from_utf8(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{NotUtf8, extend_check, is_utf8};

    #[test]
    fn every_cut_of_valid_text_passes() {
        let text = "aé漢😀z";
        for cut in 0..=text.len() {
            let checked = extend_check(&text.as_bytes()[..cut], 0).unwrap();
            assert!(cut - checked <= 3);
            assert_eq!(extend_check(text.as_bytes(), checked), Ok(text.len()));
        }
    }

    #[test]
    fn fails_at_the_first_impossible_byte() {
        // Each is invalid at its last byte and only there.
        for bad in [&b"\xf4\x90"[..], b"\xed\xa0", b"\xe0\x80", b"\xc0", b"a\x80", b"\xf8", b"\xe6\xbc\x41"] {
            let (last, before) = bad.split_last().unwrap();
            let checked = extend_check(before, 0).unwrap();
            assert_eq!(extend_check(bad, checked), Err(NotUtf8), "{before:x?} then {last:x}");
            assert!(!is_utf8(bad));
        }
    }
}
