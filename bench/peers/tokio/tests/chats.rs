//! The peer does the tutorial's work: without that its figures would say nothing.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket, connect};

struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(kind: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_longwire-peer-tokio"))
            .arg(kind)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim().to_owned() }
    }

    fn connect(&self) -> WebSocket<MaybeTlsStream<TcpStream>> {
        let (socket, _) = connect(&self.url).unwrap();
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        }
        socket
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_message_reaches_its_user_its_group_and_everyone_but_never_its_sender() {
    let server = Server::start("chat");
    let [mut ann, mut bob] = ["ann", "bob"].map(|name| {
        let mut socket = server.connect();
        let sign_in = format!(r#"{{"type":"auth","username":"{name}"}}"#);
        socket.send(Message::text(sign_in)).unwrap();
        socket.send(Message::text(r#"{"type":"joinGroup","group":"g"}"#)).unwrap();
        // One's own message is the proof that what stood before it was done.
        socket.send(Message::text(format!(r#"{{"type":"message","to":"{name}","message":1}}"#))).unwrap();
        assert_eq!(
            socket.read().unwrap(),
            Message::text(format!(r#"{{"type":"message","from":"{name}","message":1}}"#))
        );
        socket
    });
    for (to, group) in [(r#""to":"bob","#, ""), (r#""group":"g","#, r#""group":"g","#), ("", "")] {
        ann.send(Message::text(format!(r#"{{"type":"message",{to}"message":"hi"}}"#))).unwrap();
        let expected = format!(r#"{{"type":"message","from":"ann",{group}"message":"hi"}}"#);
        assert_eq!(bob.read().unwrap(), Message::text(expected));
    }
    bob.send(Message::text(r#"{"type":"message","to":"ann","message":"last"}"#)).unwrap();
    assert!(ann.read().unwrap().to_text().unwrap().contains("last"));
}

#[test]
fn an_echo_comes_back() {
    let server = Server::start("echo");
    let mut socket = server.connect();
    socket.send(Message::text("hello")).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("hello"));
}
