//! Servers that speak TLS, with certificates made for the test, and rustls's clients.

use super::{PATIENCE, TestServer, plan};
use longwire::net::tls::{Acceptor, Certificates, Identity, Tickets};
use longwire::shard::{AppKind, Plan};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

#[allow(unused_imports)]
pub use rustls::version::{TLS12, TLS13};

/// A client's side of an encrypted connection.
pub type Secure<S = TcpStream> = StreamOwned<ClientConnection, S>;

thread_local! {
    static FOLDERS: Cell<usize> = const { Cell::new(0) };
}

/// A certificate for `localhost` with its key in files, which go with it.
pub struct Made {
    folder: PathBuf,
    /// The certificate itself.
    pub der: CertificateDer<'static>,
}

impl Made {
    /// Makes one.
    pub fn new() -> Self {
        let number = FOLDERS.replace(FOLDERS.get() + 1);
        let thread = std::thread::current().name().unwrap_or("main").replace("::", "-");
        let folder = format!("longwire-test-{}-{thread}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut made = Self { folder, der: CertificateDer::from(Vec::new()) };
        made.renew();
        made
    }

    /// Another one in the same files.
    pub fn renew(&mut self) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).expect("a certificate");
        std::fs::write(self.certificate(), made.cert.pem()).expect("a file");
        std::fs::write(self.key(), made.signing_key.serialize_pem()).expect("a file");
        self.der = made.cert.der().clone();
    }

    /// Its file.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("fullchain.pem")
    }

    /// Its key's file.
    pub fn key(&self) -> PathBuf {
        self.folder.join("privkey.pem")
    }

    /// What reads both.
    pub fn certificates(&self) -> Certificates {
        Certificates::new(&self.certificate(), &self.key()).expect("randomness")
    }

    /// What was read of both.
    pub fn identity(&self) -> Identity {
        Identity::from_files(&self.certificate(), &self.key()).expect("a good certificate")
    }

    /// Terms of a client that trusts it and speaks this version.
    pub fn client(&self, version: &'static SupportedProtocolVersion) -> ClientConfig {
        client(&[&self.der], version)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Terms of a client that trusts these certificates and speaks this version.
pub fn client(
    trusted: &[&CertificateDer<'static>],
    version: &'static SupportedProtocolVersion,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add((*certificate).clone()).expect("a certificate");
    }
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A server that listens on `wss` first, and on `ws` beside it.
pub struct TlsServer {
    /// The server.
    pub server: TestServer,
    /// What it shows.
    pub made: Made,
    /// The keys of its tickets, for another certificate.
    pub certificates: Certificates,
}

impl TlsServer {
    /// A chat server in dev mode.
    pub fn chat(shards: usize, settings: &[(&str, &str)]) -> Self {
        Self::start(AppKind::Chat, shards, &[&[("server.dev", "true")], settings].concat())
    }

    /// An echo server.
    pub fn echo(settings: &[(&str, &str)]) -> Self {
        Self::start(AppKind::Echo, 1, settings)
    }

    /// A chat server in dev mode with these ciphers.
    pub fn chat_with(ciphers: CryptoProvider, shards: usize) -> Self {
        let made = Made::new();
        let certificates = made.certificates();
        let tickets = Tickets::new().expect("randomness");
        let acceptor = Acceptor::with_ciphers(&made.identity(), &tickets, ciphers).expect("good ciphers");
        let plan = plan(AppKind::Chat, shards, &[("server.dev", "true")]);
        Self { server: Self::launch(plan, acceptor), made, certificates }
    }

    fn start(app: AppKind, shards: usize, settings: &[(&str, &str)]) -> Self {
        let made = Made::new();
        let certificates = made.certificates();
        let (_, acceptor) = certificates.load().expect("a good certificate");
        Self { server: Self::launch(plan(app, shards, settings), acceptor), made, certificates }
    }

    fn launch(plan: Plan, acceptor: Acceptor) -> TestServer {
        let listen = ["wss://127.0.0.1:0", "127.0.0.1:0"].map(|text| text.parse().expect("an address"));
        TestServer::launch(&Plan { listen: listen.into(), tls: Some(acceptor), ..plan })
    }

    fn address(&self, number: usize) -> SocketAddr {
        self.server.listens_on()[number].address().expect("an address")
    }

    /// A bare connection to where TLS is spoken.
    pub fn tcp(&self) -> TcpStream {
        tcp(self.address(0))
    }

    /// A bare connection to where it is not.
    pub fn plain(&self) -> TcpStream {
        tcp(self.address(1))
    }

    /// An encrypted connection.
    pub fn connect(&self, config: &Arc<ClientConfig>) -> Secure {
        secure(config, self.tcp())
    }
}

/// A bare connection.
pub fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// TLS over a stream; the handshake is done with the first bytes.
pub fn secure<S: Read + Write>(config: &Arc<ClientConfig>, stream: S) -> Secure<S> {
    let name = ServerName::try_from("localhost").expect("a name");
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).expect("terms"), stream)
}

/// A stream that sends each byte on its own.
pub struct Drip(pub TcpStream);

impl Write for Drip {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Read for Drip {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}
