//! What holds for any bytes that arrive before the upgrade, in any pieces. Knows no frames.

use crate::oracle::pieces;
use longwire::limits::REQUEST_HEAD_MAX;
use longwire::net::http::{Head, HttpRules, accept, parse_request};
use tungstenite::handshake::client::Response;
use tungstenite::handshake::derive_accept_key;
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response};

/// Header fields that the response to an upgrade may have.
const GRANTED: [&str; 5] =
    ["connection", "upgrade", "sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions"];

/// What a head amounts to, so that two can be compared.
#[derive(PartialEq, Debug)]
enum Said {
    Incomplete,
    Upgrade { consumed: usize, token: Option<String>, window: Option<u8>, response: Vec<u8> },
    Answer { status: u16, response: Vec<u8> },
}

/// The request behind a byte that chooses the rules and one that chooses how it is cut gets the same answer however it is cut, which is
/// an upgrade only where tungstenite sees one; a head without an end gets an answer all the same.
pub fn handshake(data: &[u8]) {
    let Some((&[rules, size], request)) = data.split_first_chunk() else { return };
    let rules = HttpRules {
        allowed_origins: vec!["https://chat.example.org".into()],
        dev: rules & 1 != 0,
        supported: &["longwire.json.v1", "longwire.proto.v1"],
        deflate: rules & 2 != 0,
        head_max: REQUEST_HEAD_MAX,
    };
    let whole = said(request, &rules);
    assert_eq!(whole, in_pieces(request, 1 + usize::from(size), &rules));
    is_fit(&whole);
    agrees(&whole, request, &rules);
    if !request.is_empty() {
        let endless: Vec<u8> = request.iter().copied().cycle().take(REQUEST_HEAD_MAX).collect();
        assert_ne!(said(&endless, &rules), Said::Incomplete);
    }
}

fn said(request: &[u8], rules: &HttpRules) -> Said {
    match parse_request(request, rules) {
        Head::Incomplete => Said::Incomplete,
        Head::Upgrade { consumed, request } => {
            let window = request.deflate.map(longwire::net::deflate::Window::bits);
            Said::Upgrade { consumed, response: accept(&request), token: request.token, window }
        }
        Head::Answer { response, status } => Said::Answer { status, response },
    }
}

/// As a connection does it: what came so far is read from its start, until it amounts to something.
fn in_pieces(request: &[u8], size: usize, rules: &HttpRules) -> Said {
    let mut came = 0;
    for piece in pieces(request, &[size]) {
        came += piece.len();
        let said = said(&request[..came], rules);
        if said != Said::Incomplete {
            return said;
        }
    }
    said(&request[..came], rules)
}

/// A whole response of ours, of which a client's bytes can make nothing else.
fn is_fit(said: &Said) {
    match said {
        Said::Incomplete => {}
        Said::Answer { status, response } => {
            let text = str::from_utf8(response).expect("an answer is text");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
            assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{head}");
            assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
        }
        Said::Upgrade { response, window, .. } => {
            let (size, parsed) = Response::try_parse(response).expect("a response").expect("a whole one");
            assert_eq!((size, parsed.status().as_u16()), (response.len(), 101));
            assert!(parsed.headers().keys().all(|name| GRANTED.contains(&name.as_str())), "{parsed:?}");
            assert_eq!(parsed.headers().contains_key("sec-websocket-extensions"), window.is_some());
        }
    }
}

/// Where tungstenite sees an upgrade we grant it, or refuse it for a rule of ours; where it sees none we grant none.
fn agrees(said: &Said, request: &[u8], rules: &HttpRules) {
    let parsed = Request::try_parse(request);
    let theirs = parsed.as_ref().ok().and_then(Option::as_ref).map(|(size, request)| (*size, request));
    match said {
        Said::Incomplete => assert!(matches!(parsed, Ok(None))),
        Said::Upgrade { consumed, response, window, .. } => {
            let (size, request) = theirs.expect("a whole request");
            assert_eq!(*consumed, size);
            assert!(create_response(request).is_ok());
            assert!(window.is_none() || rules.deflate);
            let key = derive_accept_key(request.headers()["sec-websocket-key"].as_bytes());
            assert!(String::from_utf8_lossy(response).contains(&key));
        }
        Said::Answer { status, .. } => {
            if let Some((_, request)) = theirs.filter(|(_, request)| create_response(request).is_ok()) {
                let path = request.uri().path();
                let fit = match status {
                    404 => path != "/" && path != "/ws",
                    403 => rules.dev || request.headers().contains_key("origin"),
                    // `Host` and `Origin`: none, two, or no text.
                    400 => true,
                    _ => false,
                };
                assert!(fit, "{status} for {request:?}");
            }
        }
    }
}
