//! The HTTP/1.1 request that opens a connection: an upgrade to WebSocket, or a short answer. Knows no socket, token or encoding.

mod answer;
mod extensions;
mod origin;
mod page;
#[cfg(test)]
mod tests;

use super::deflate::Window;
use crate::limits::REQUEST_HEAD_MAX;
pub use answer::HEAD_TOO_LONG;
use answer::Refusal;
use percent_encoding::percent_decode_str;
use tungstenite::Error;
use tungstenite::error::{CapacityError, ProtocolError as Fault};
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, Response, create_response, write_response};
use tungstenite::http::header::{
    AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};

/// What is accepted here, from the settings.
#[derive(Clone, Debug)]
pub struct HttpRules {
    /// Origins that may connect besides the server's own, as browsers write them (`https://chat.example.org`).
    pub allowed_origins: Vec<String>,
    /// Anyone may sign in by name, so only pages of this machine may connect.
    pub dev: bool,
    /// The subprotocols spoken here; the client's order decides.
    pub supported: &'static [&'static str],
    /// Whether permessage-deflate is granted to who offers it.
    pub deflate: bool,
    /// The longest request head (bytes).
    pub head_max: usize,
}

impl Default for HttpRules {
    fn default() -> Self {
        let (allowed_origins, supported) = (Vec::new(), &[][..]);
        Self { allowed_origins, dev: false, supported, deflate: false, head_max: REQUEST_HEAD_MAX }
    }
}

/// What the bytes so far amount to.
#[derive(Debug)]
pub enum Head {
    /// More is to come.
    Incomplete,
    /// A request to speak WebSocket that may be granted: write [`accept`]'s bytes.
    Upgrade {
        /// Bytes of the request; frames may follow at once.
        consumed: usize,
        /// What it asks for.
        request: UpgradeRequest,
    },
    /// Anything else: write this and close.
    Answer {
        /// A whole response.
        response: Vec<u8>,
        /// Its status, for the counters.
        status: u16,
    },
}

/// A request to speak WebSocket, with all of its rules checked.
#[derive(Debug)]
pub struct UpgradeRequest {
    /// The credential given by header or query, unchecked.
    pub token: Option<String>,
    /// The first of the client's subprotocols that is spoken here.
    pub subprotocol: Option<&'static str>,
    /// The window of what is compressed for the client, if permessage-deflate is granted.
    pub deflate: Option<Window>,
    response: Response,
}

/// Reads the request at the start of `buf`, all that the connection has sent.
pub fn parse_request(buf: &[u8], rules: &HttpRules) -> Head {
    match Request::try_parse(buf) {
        Ok(Some((consumed, _))) if consumed > rules.head_max => Refusal::HeadTooLong.into_head(),
        Ok(Some((consumed, request))) => match judge(&request, rules) {
            Ok(request) => Head::Upgrade { consumed, request },
            Err(refusal) => refusal.into_head(),
        },
        Ok(None) if buf.len() >= rules.head_max => Refusal::HeadTooLong.into_head(),
        Ok(None) => Head::Incomplete,
        Err(Error::Protocol(Fault::WrongHttpMethod)) => other_method(buf, rules),
        Err(Error::Protocol(Fault::WrongHttpVersion)) => Refusal::HttpVersion.into_head(),
        Err(Error::Capacity(CapacityError::TooManyHeaders)) => Refusal::HeadTooLong.into_head(),
        Err(_) => Refusal::Malformed.into_head(),
    }
}

/// HEAD is answered like GET, without the body.
fn other_method(buf: &[u8], rules: &HttpRules) -> Head {
    let Some(rest) = buf.strip_prefix(b"HEAD ") else { return Refusal::Method.into_head() };
    match parse_request(&[b"GET ", rest].concat(), rules) {
        Head::Answer { mut response, status } => {
            let end = memchr::memmem::find(&response, b"\r\n\r\n").map_or(response.len(), |at| at + 4);
            response.truncate(end);
            Head::Answer { response, status }
        }
        Head::Incomplete | Head::Upgrade { .. } => Refusal::Method.into_head(),
    }
}

/// The answer to an upgrade that may be granted later: after so many seconds.
pub fn busy(seconds: u64) -> Vec<u8> {
    Refusal::Busy(seconds).response()
}

/// The answer to an upgrade from an address that has too many connections: after so many seconds it may have fewer.
pub fn crowded(seconds: u64) -> Vec<u8> {
    Refusal::Crowded(seconds).response()
}

/// The answer to plain HTTP where TLS is spoken.
pub fn not_encrypted() -> Vec<u8> {
    Refusal::Plain.response()
}

/// The answer to a request that did not come in time.
pub fn timeout() -> Vec<u8> {
    Refusal::Timeout.response()
}

/// The response that grants an upgrade, in its bytes.
pub fn accept(request: &UpgradeRequest) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    match write_response(&mut bytes, &request.response) {
        Ok(()) => bytes,
        // Every part of it was made here.
        Err(_) => Refusal::Malformed.response(),
    }
}

fn judge(request: &Request, rules: &HttpRules) -> Result<UpgradeRequest, Refusal> {
    let headers = request.headers();
    let path = request.uri().path();
    if (path != "/" && path != "/ws")
        || (path == "/" && !headers.contains_key(UPGRADE) && !headers.contains_key(SEC_WEBSOCKET_KEY))
    {
        return look(path, headers, rules).and_then(Err);
    }
    let host = only(headers, &HOST)?.ok_or(Refusal::Host)?;
    // Which of two keys is to be answered the client and what stands between may see differently.
    only(headers, &SEC_WEBSOCKET_KEY)?;
    let mut response = create_response(request).map_err(|error| match error {
        Error::Protocol(Fault::MissingSecWebSocketVersionHeader)
            if headers.contains_key(SEC_WEBSOCKET_VERSION) =>
        {
            Refusal::WebSocketVersion
        }
        _ => Refusal::Upgrade,
    })?;
    origin::check(host, only(headers, &tungstenite::http::header::ORIGIN)?, rules)?;
    let subprotocol = choose_subprotocol(headers, rules.supported);
    if let Some(subprotocol) = subprotocol {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    }
    let granted = if rules.deflate { extensions::choose(headers) } else { None };
    let deflate = granted.map(|(window, answer)| {
        response.headers_mut().insert(SEC_WEBSOCKET_EXTENSIONS, answer);
        window
    });
    let token = bearer_token(headers).or_else(|| query_token(request.uri().query()?));
    Ok(UpgradeRequest { token, subprotocol, deflate, response })
}

/// Someone who wants to see a page, which there is in dev mode, for this machine only.
fn look(path: &str, headers: &HeaderMap, rules: &HttpRules) -> Result<Refusal, Refusal> {
    if rules.dev
        && let Some(file) = page::File::at(path)
    {
        origin::check(only(headers, &HOST)?.ok_or(Refusal::Host)?, None, rules)?;
        return Ok(Refusal::Page(file));
    }
    Ok(if path == "/" { Refusal::Greeting } else { Refusal::Path })
}

/// The value of a header that may stand once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Refusal::Malformed),
        _ => Err(Refusal::Malformed),
    }
}

/// `Authorization: Bearer T`; other schemes are for a proxy on the way.
fn bearer_token(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// `?token=T`, for browsers, which cannot set a header.
fn query_token(query: &str) -> Option<String> {
    let token = query.split('&').find_map(|pair| pair.strip_prefix("token="))?;
    Some(percent_decode_str(token).decode_utf8_lossy().into_owned())
}

fn choose_subprotocol(headers: &HeaderMap, supported: &'static [&'static str]) -> Option<&'static str> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|offer| supported.iter().copied().find(|name| *name == offer.trim()))
}
