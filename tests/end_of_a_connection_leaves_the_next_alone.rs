//! A connection that ends, however it ends, does nothing to the one that gets its slot next.

mod common;

use common::TestServer;
use std::io::{Read, Write};
use std::net::TcpStream;

const THREADS: usize = 6;
const ROUNDS: usize = 500;

/// A request that is answered and ended by the server, from a client that does not wait for the end: the server's
/// shutdown of its side and the client's close are under way together, and the next connection takes the slot.
fn ask_and_leave(mut stream: TcpStream) -> usize {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("a fresh connection takes a request");
    let mut start = [0; 12];
    stream.read(&mut start).expect("a fresh connection is answered")
}

#[test]
fn end_of_a_connection_leaves_the_next_alone() {
    let server = TestServer::echo(&[]);
    let lost = std::thread::scope(|scope| {
        let ask = || (0..ROUNDS).filter(|_| ask_and_leave(server.tcp()) == 0).count();
        let clients: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
        clients.into_iter().map(|client| client.join().expect("a client")).sum::<usize>()
    });
    assert_eq!(lost, 0, "connections ended without an answer");
}
