//! Checks a JSON payload once, where it enters, so that no receiver chokes on it. Knows JSON, no commands.

use crate::limits::JSON_DEPTH_MAX;

const TOO_DEEP: &str = "`message` is nested deeper than 64 levels";
const LONE_SURROGATE: &str = "`message` has a \\u escape that is half of a surrogate pair";
const NOT_FINITE: &str = "`message` has a number too large for a 64-bit float";

const _: () = assert!(JSON_DEPTH_MAX == 64, "TOO_DEEP names the limit");

/// The most digits that are finite whatever they are: 10^308 fits a 64-bit float.
const FINITE_DIGITS: usize = 308;

/// Checks what the grammar leaves open: nesting, escapes and numbers. `json` must be one well-formed value.
///
/// # Errors
/// The reason, for its writer.
pub(super) fn check(json: &str) -> Result<(), &'static str> {
    let bytes = json.as_bytes();
    let mut depth = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = after_string(bytes, at + 1)?;
                continue;
            }
            b'[' | b'{' if depth == JSON_DEPTH_MAX => return Err(TOO_DEEP),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b'-' | b'0'..=b'9' => {
                at = after_number(json, at)?;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// The place after the string whose first byte inside the quotes is at `at`.
fn after_string(bytes: &[u8], mut at: usize) -> Result<usize, &'static str> {
    while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at..]) {
        at += found;
        if bytes[at] == b'"' {
            return Ok(at + 1);
        }
        at = match unit(bytes, at) {
            Some(0xd800..=0xdbff) if matches!(unit(bytes, at + 6), Some(0xdc00..=0xdfff)) => at + 12,
            Some(0xd800..=0xdfff) => return Err(LONE_SURROGATE),
            Some(_) => at + 6,
            None => at + 2,
        };
    }
    Ok(bytes.len())
}

/// The UTF-16 unit of the `\uXXXX` at `at`, if that is what stands there.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

/// The place after the number that starts at `at`.
fn after_number(json: &str, at: usize) -> Result<usize, &'static str> {
    let rest = &json[at..];
    let in_number = |b: u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    let length = rest.bytes().position(|b| !in_number(b)).unwrap_or(rest.len());
    let number = &rest[..length];
    let plain = length <= FINITE_DIGITS && !number.bytes().any(|b| b | 0x20 == b'e');
    if plain || number.parse::<f64>().is_ok_and(f64::is_finite) { Ok(at + length) } else { Err(NOT_FINITE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(check(&nested(64)), Ok(()));
        assert_eq!(check(&nested(65)), Err(TOO_DEEP));
        let objects = format!("{}1{}", r#"{"a":"#.repeat(65), "}".repeat(65));
        assert_eq!(check(&objects), Err(TOO_DEEP));
        assert_eq!(check(&format!("[{}]", "[],{},".repeat(200) + "1")), Ok(()));
    }

    #[test]
    fn brackets_inside_strings_do_not_count() {
        assert_eq!(check(&format!(r#""{}\"{}""#, "[".repeat(100), "{".repeat(100))), Ok(()));
    }

    #[test]
    fn surrogates_come_in_pairs() {
        for good in [r#""\ud83d\ude00""#, r#""\uD83D\uDE00!""#, r#""\u0041""#, r#""\\ud800""#, r#""\n\"\/""#]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let bad = [
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ud83dx""#,
            r#""\ud83d\u0041""#,
            r#""\ud83d\ud83d\ude00""#,
            r#"{"\udfff":1}"#,
            r#"["a",{"b":"\\\ud800"}]"#,
        ];
        for bad in bad {
            assert_eq!(check(bad), Err(LONE_SURROGATE), "{bad}");
        }
    }

    #[test]
    fn numbers_are_finite() {
        let digits = |n| "9".repeat(n);
        for good in ["0", "-1", "1e308", "1E+308", "-1.7976931348623157e308", "1e-999", "0e999"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert_eq!(check(&digits(308)), Ok(()));
        for bad in ["1e999", "-1E999", "[0,1e309]", r#"{"a":2e308}"#, &digits(310)] {
            assert_eq!(check(bad), Err(NOT_FINITE), "{bad}");
        }
    }
}
