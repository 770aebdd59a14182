//! SIGHUP has the certificate read again: new connections begin with it, those there go on; one that is no good changes nothing.

mod common;
#[path = "common/process.rs"]
mod process;

use common::raw::{PING, PONG, Raw, frame};
use common::tls::{Made, Secure, TLS13, client, secure, tcp};
use process::Running;
use rustls::pki_types::CertificateDer;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

struct Server {
    running: Running,
    admin: String,
}

impl Server {
    fn start(made: &Made) -> Self {
        let (certificate, key) = (made.certificate(), made.key());
        let mut arguments = vec!["serve", "--dev", "--listen", "wss://127.0.0.1:0"];
        arguments.extend(["--admin-listen", "127.0.0.1:0"]);
        arguments.extend(["--tls-certificate", certificate.to_str().expect("a path")]);
        arguments.extend(["--tls-key", key.to_str().expect("a path")]);
        let running = Running::start(&arguments, "mode");
        let admin = running.address("http://");
        Self { running, admin }
    }

    fn sign_in(&self, trusted: &[&CertificateDer<'static>], user: &str) -> Raw<Secure> {
        let address = self.running.address("wss://").parse().expect("an address");
        Raw::sign_in_over(secure(&Arc::new(client(trusted, &TLS13)), tcp(address)), user)
    }

    /// A line of `/metrics`.
    fn metric(&self, name: &str) -> String {
        let mut stream = TcpStream::connect(&self.admin).expect("the admin address");
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("a request");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("an answer");
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {page}")).trim().to_string()
    }

    fn wait_for(&self, name: &str, value: &str) {
        let start = Instant::now();
        while self.metric(name) != value {
            assert!(start.elapsed() < common::PATIENCE, "{name} is {}", self.metric(name));
        }
    }
}

fn answers(raw: &mut Raw<Secure>) {
    raw.write(&frame(PING, b"?"));
    let next = std::iter::from_fn(|| raw.next_frame()).find(|(first, _)| *first != PING);
    assert_eq!(next, Some((PONG, b"?".to_vec())));
}

#[test]
fn certificates_reload_on_sighup() {
    let mut made = Made::new();
    let first = made.der.clone();
    let server = Server::start(&made);
    assert_eq!(
        server.metric("longwire_tls_certificate_expires_seconds"),
        made.identity().expires().to_string()
    );
    let mut before = server.sign_in(&[&first], "before");

    made.renew();
    server.running.signal("HUP");
    server.wait_for(r#"longwire_tls_reloads_total{outcome="done"}"#, "1");
    let mut after = server.sign_in(&[&made.der], "after");
    answers(&mut before);
    answers(&mut after);

    std::fs::write(made.key(), "no key at all\n").expect("a file");
    server.running.signal("HUP");
    server.wait_for(r#"longwire_tls_reloads_total{outcome="failed"}"#, "1");
    let mut kept = server.sign_in(&[&made.der], "kept");
    [&mut before, &mut after, &mut kept].into_iter().for_each(answers);
    assert_eq!(server.metric(r#"longwire_tls_reloads_total{outcome="done"}"#), "1");
}
