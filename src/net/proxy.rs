//! The PROXY protocol, version 2: what a proxy says of a connection before its first bytes. Reads no socket; knows no listener.

use crate::limits::PROXY_HEADER_MAX;
use ppp::v2::{Addresses, Command, Header, ParseError};
use std::net::IpAddr;

/// The fixed part of a header (bytes): signature, version and command, family, length.
const FIXED: usize = 16;
/// Where the version and command stand, and what a proxy's own connection (a health check) has there.
const COMMAND: (usize, u8) = (12, 0x20);
/// Where the length of the rest stands.
const LENGTH: usize = 14;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Introduced {
    /// The beginning of a header.
    Incomplete,
    /// No header, or one that does not hold to the protocol, or is longer than [`PROXY_HEADER_MAX`].
    Wrong,
    /// A header of so many bytes, and from where the client came, if the proxy knows that and it is an address.
    By(usize, Option<IpAddr>),
}

/// Reads the header at the beginning of `bytes`.
pub fn introduced(bytes: &[u8]) -> Introduced {
    let (length, from) = match Header::try_from(bytes) {
        Ok(header) => {
            let from = match (header.command, header.addresses) {
                (Command::Proxy, Addresses::IPv4(ends)) => Some(IpAddr::V4(ends.source_address)),
                (Command::Proxy, Addresses::IPv6(ends)) => Some(IpAddr::V6(ends.source_address)),
                _ => None,
            };
            (header.len(), from)
        }
        Err(ParseError::Incomplete(_)) => return Introduced::Incomplete,
        Err(ParseError::Partial(_, rest)) => (FIXED + rest, None),
        // Of a proxy's own connection the family and the addresses mean nothing, whatever they are.
        Err(ParseError::AddressFamily(_) | ParseError::Protocol(_) | ParseError::InvalidAddresses(..))
            if bytes[COMMAND.0] == COMMAND.1 =>
        {
            (FIXED + usize::from(u16::from_be_bytes([bytes[LENGTH], bytes[LENGTH + 1]])), None)
        }
        Err(_) => return Introduced::Wrong,
    };
    if length > PROXY_HEADER_MAX {
        Introduced::Wrong
    } else if length > bytes.len() {
        Introduced::Incomplete
    } else {
        Introduced::By(length, from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = (rest.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    /// Headers that hold to the protocol, and from where they say the client came.
    fn headers() -> Vec<(Vec<u8>, Option<IpAddr>)> {
        let four = [192, 0, 2, 7, 127, 0, 0, 1, 0x30, 0x39, 0x25, 0x1d];
        let mut six = [0; 36];
        six[..4].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
        six[15] = 9;
        vec![
            (header(0x21, 0x11, &four), ip("192.0.2.7")),
            (header(0x21, 0x12, &four), ip("192.0.2.7")),
            (header(0x21, 0x21, &six), ip("2001:db8::9")),
            (header(0x21, 0x11, &[&four[..], &[4, 0, 2, 0, 0]].concat()), ip("192.0.2.7")),
            (header(0x21, 0x11, &[&four[..], &[0; 508]].concat()), ip("192.0.2.7")),
            (header(0x21, 0x00, &[]), None),
            (header(0x21, 0x31, &[b'x'; 216]), None),
            (header(0x20, 0x00, &[]), None),
            (header(0x20, 0x11, &four), None),
            (header(0x20, 0x11, &[]), None),
            (header(0x20, 0xff, &[1, 2, 3]), None),
        ]
    }

    #[test]
    fn a_header_is_read_whole_and_not_a_byte_before_or_behind() {
        for (header, from) in headers() {
            for cut in 0..header.len() {
                assert_eq!(introduced(&header[..cut]), Introduced::Incomplete, "{header:?} cut at {cut}");
            }
            for rest in [&b""[..], b"G", b"GET / HTTP/1.1\r\n", &SIGNATURE] {
                let bytes = [&header, rest].concat();
                assert_eq!(introduced(&bytes), Introduced::By(header.len(), from), "{header:?}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_known_by_its_first_wrong_byte() {
        for wrong in [
            b"GET / HTTP/1.1\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\n".to_vec(),
            b"\x16\x03\x01".to_vec(),
            b"\r\n\r\n\0\r\nQUIX".to_vec(),
            header(0x11, 0x11, &[0; 12]),
            header(0x22, 0x11, &[0; 12]),
            header(0x21, 0x41, &[0; 12]),
            header(0x21, 0x13, &[0; 12]),
            header(0x21, 0x11, &[0; 11]),
            header(0x21, 0x21, &[0; 35]),
            header(0x21, 0x31, &[0; 215]),
            header(0x21, 0x11, &[0; PROXY_HEADER_MAX]),
            header(0x20, 0xff, &[0; PROXY_HEADER_MAX]),
        ] {
            assert_eq!(introduced(&wrong), Introduced::Wrong, "{wrong:?}");
            // More of the same makes it no better, and less of it is not taken for a header.
            assert_eq!(introduced(&[&wrong[..], &[0; 600]].concat()), Introduced::Wrong);
            for cut in 0..wrong.len() {
                assert!(!matches!(introduced(&wrong[..cut]), Introduced::By(..)), "{wrong:?} cut at {cut}");
            }
        }
    }
}
