//! An echo server over TLS, by rustls's own server and tungstenite: a thread for each connection.
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use tungstenite::accept;

/// A server, and its certificate's file, which goes with the test.
pub(crate) struct Secure {
    port: u16,
    ca: PathBuf,
}

impl Secure {
    /// An echo server that speaks this version; its certificate is for `localhost` and 127.0.0.1.
    pub(crate) fn echo(version: &'static SupportedProtocolVersion) -> Self {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let ca =
            std::env::temp_dir().join(format!("bench-ca-{}-{:x}.pem", std::process::id(), fastrand::u64(..)));
        std::fs::write(&ca, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        config.ticketer = Ticketer::new().unwrap();
        config.send_tls13_tickets = 1;
        let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let config = Arc::clone(&config);
                std::thread::spawn(move || connection(config, stream));
            }
        });
        Self { port, ca }
    }

    pub(crate) fn url(&self, host: &str) -> String {
        format!("wss://{host}:{}/", self.port)
    }

    /// The option that trusts it.
    pub(crate) fn ca(&self) -> String {
        format!("--ca={}", self.ca.display())
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.ca);
    }
}

fn connection(config: Arc<ServerConfig>, stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let Ok(mut socket) = accept(stream) else { return };
    while let Ok(message) = socket.read() {
        if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
            return;
        }
    }
}
