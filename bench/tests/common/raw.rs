//! A server without manners: each connection runs a script on the bare socket.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tungstenite::handshake::derive_accept_key;

/// What happens to the connection with this number.
type Script = dyn Fn(usize, TcpStream) + Send + Sync;

/// Starts a server on a free port; the URL is its.
pub(crate) fn raw(script: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let script: Arc<Script> = Arc::new(script);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let script = Arc::clone(&script);
            std::thread::spawn(move || script(number, stream));
        }
    });
    url
}

/// Reads the request.
pub(crate) fn requested(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            break;
        }
        request.push(byte[0]);
    }
    String::from_utf8_lossy(&request).into_owned()
}

/// Takes the upgrade; `behind` follows the answer in the same write.
pub(crate) fn upgraded(stream: &mut TcpStream, behind: &[u8]) {
    upgraded_with(stream, "X-Nothing: at all", behind);
}

/// The same with a header of the caller's own.
pub(crate) fn upgraded_with(stream: &mut TcpStream, header: &str, behind: &[u8]) {
    let request = requested(stream);
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default();
    let key = derive_accept_key(key.trim().as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {key}\r\n{header}\r\n\r\n"
    );
    // The other side may have left.
    let _ = stream.write_all(&[head.as_bytes(), behind].concat());
}

/// Reads until the other side leaves, or for a minute: the connection stays open, and silent.
pub(crate) fn drain(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    // A reset is an end like any other.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}
