//! Where a page ended, as a text that clients hand back unread. Knows no paging.

use crate::ids::{BadName, ConversationId};
use data_encoding::BASE64URL_NOPAD;

/// The token of a page whose last conversation is this one.
pub fn write(last: &ConversationId) -> String {
    BASE64URL_NOPAD.encode(last.as_str().as_bytes())
}

/// Which conversation a token stands for.
///
/// # Errors
/// [`BadName`]: it was never written.
pub fn read(token: &str) -> Result<ConversationId, BadName> {
    let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| BadName)?;
    ConversationId::parse(std::str::from_utf8(&bytes).map_err(|_| BadName)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{NAME_MAX, UserName};
    use crate::limits::SYNC_TOKEN_MAX;

    #[test]
    fn a_token_is_short_and_stands_for_its_conversation() {
        let user = |name: &str| UserName::new(name).unwrap();
        let long = ConversationId::private(&user(&"é".repeat(NAME_MAX / 2)), &user(&"z".repeat(NAME_MAX)));
        for conversation in [ConversationId::private(&user("a"), &user("b")), long] {
            let token = write(&conversation);
            assert!(
                token.len() <= SYNC_TOKEN_MAX
                    && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            );
            assert_eq!(read(&token), Ok(conversation));
        }
        for bad in ["", "=", "u:a:b", "dTpiOmE", "_w"] {
            assert_eq!(read(bad), Err(BadName), "{bad}");
        }
    }
}
