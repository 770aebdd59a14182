//! What holds for any bytes at the beginning of a connection that a proxy has to introduce. Knows no HTTP.

use longwire::limits::PROXY_HEADER_MAX;
use longwire::net::proxy::{Introduced, introduced};
use std::net::IpAddr;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The fixed part (bytes).
const FIXED: usize = 16;

/// What it is shows once and for good, however few bytes come at a time, and before more come than a header may have; a header is what the
/// protocol says, and names the address that stands there.
pub fn proxy_header(data: &[u8]) {
    let whole = introduced(data);
    let shown = (0..=data.len()).find(|cut| introduced(&data[..*cut]) != Introduced::Incomplete);
    for cut in shown.unwrap_or(data.len())..=data.len() {
        assert_eq!(introduced(&data[..cut]), whole, "cut at {cut}, shown at {shown:?}");
    }
    match whole {
        Introduced::Incomplete => assert!(data.len() < PROXY_HEADER_MAX),
        Introduced::Wrong => {}
        Introduced::By(length, from) => {
            assert_eq!(shown, Some(length));
            assert_eq!(from, by_hand(&data[..length]));
        }
    }
    if let Some(begun) = data.first_chunk::<12>().filter(|begun| *begun != SIGNATURE) {
        assert_eq!(whole, Introduced::Wrong, "{begun:?}");
    }
}

/// The address in a header, read by the protocol's own table.
fn by_hand(header: &[u8]) -> Option<IpAddr> {
    let (fixed, rest) = header.split_at(FIXED);
    assert_eq!(fixed[..12], SIGNATURE[..]);
    assert!(matches!(fixed[12], 0x20 | 0x21), "version 2, of a proxy's own or of a client");
    assert_eq!(rest.len(), usize::from(u16::from_be_bytes([fixed[14], fixed[15]])));
    assert!(header.len() <= PROXY_HEADER_MAX);
    match (fixed[12], fixed[13] >> 4) {
        (0x21, 1) => rest.first_chunk::<4>().map(|ip| IpAddr::from(*ip)),
        (0x21, 2) => rest.first_chunk::<16>().map(|ip| IpAddr::from(*ip)),
        _ => None,
    }
}
