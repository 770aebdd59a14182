//! Every byte comes back in its order, whatever the sizes and however many connections; one that leaves disturbs nobody.
#![allow(clippy::unwrap_used)] // helpers of a test fail the test
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let mut child =
            Command::new(env!("CARGO_BIN_EXE_longwire-peer-tcp")).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("tcp://").unwrap().parse().unwrap();
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn echoes(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).unwrap();
    assert!(back == bytes, "{} bytes came back changed", bytes.len());
}

#[test]
fn every_byte_comes_back_in_order() {
    let server = Server::start();
    let mut streams: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    for size in [1, 64, 2048, 2049, 40_000] {
        for (at, stream) in streams.iter_mut().enumerate() {
            let bytes: Vec<u8> = (0..size).map(|byte| (byte * 7 + at) as u8).collect();
            echoes(stream, &bytes);
        }
    }
}

#[test]
fn one_that_leaves_disturbs_nobody_and_its_place_is_taken() {
    let server = Server::start();
    let mut stays = server.connect();
    echoes(&mut stays, b"before");
    for turn in 0..50 {
        let mut leaves = server.connect();
        // Half of them leave with an answer under way.
        leaves.write_all(&[turn; 3000]).unwrap();
        if turn % 2 == 0 {
            let mut back = [0; 3000];
            leaves.read_exact(&mut back).unwrap();
        }
        drop(leaves);
        echoes(&mut stays, &[turn; 100]);
    }
}
