//! A client of TLS 1.2 that encrypts what its library never would: some of the data that it is given goes as something else.

use rustls::crypto::cipher::{
    AeadKey, KeyBlockShape, MessageDecrypter, MessageEncrypter, OutboundChunks, OutboundOpaqueMessage,
    OutboundPlainMessage, Tls12AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::version::TLS12;
use rustls::{
    CipherSuiteCommon, ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, Error,
    RootCertStore, SupportedCipherSuite, Tls12CipherSuite,
};
use std::sync::Arc;

/// Terms of a client that trusts this certificate. Data whose first byte is 1, as that of a hello and of an alert that warns, it
/// sends as what is said here, and data whose first byte is 0 as a record of nothing.
pub fn client(trusted: &CertificateDer<'static>, what_begins_with_1: ContentType) -> ClientConfig {
    let suite = ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    let SupportedCipherSuite::Tls12(tls12) = suite else { panic!("it is one of TLS 1.2") };
    let disguised = Disguised { cipher: tls12.aead_alg, as_what: what_begins_with_1 };
    let aead_alg: &'static dyn Tls12AeadAlgorithm = Box::leak(Box::new(disguised));
    let common = CipherSuiteCommon { ..tls12.common };
    let suite = Tls12CipherSuite { common, aead_alg, ..*tls12 };
    let mut ciphers = ring::default_provider();
    ciphers.cipher_suites = vec![SupportedCipherSuite::Tls12(Box::leak(Box::new(suite)))];
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    ClientConfig::builder_with_provider(Arc::new(ciphers))
        .with_protocol_versions(&[&TLS12])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A hello without its record's header, as it is sent to negotiate again.
pub fn hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let name = "localhost".try_into().expect("a name");
    let mut client = ClientConnection::new(Arc::clone(config), name).expect("terms");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("a hello");
    hello.split_off(5)
}

struct Disguised {
    cipher: &'static dyn Tls12AeadAlgorithm,
    as_what: ContentType,
}

impl Tls12AeadAlgorithm for Disguised {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(Encrypter(self.cipher.encrypter(key, iv, extra), self.as_what))
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        self.cipher.decrypter(key, iv)
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.cipher.key_block_shape()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.cipher.extract_keys(key, iv, explicit)
    }
}

struct Encrypter(Box<dyn MessageEncrypter>, ContentType);

impl MessageEncrypter for Encrypter {
    fn encrypt(
        &mut self,
        mut msg: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        if msg.typ == ContentType::ApplicationData {
            match msg.payload.to_vec().first() {
                Some(1) => msg.typ = self.1,
                Some(0) => msg.payload = OutboundChunks::Single(&[]),
                _ => {}
            }
        }
        self.0.encrypt(msg, seq)
    }

    fn encrypted_payload_len(&self, len: usize) -> usize {
        self.0.encrypted_payload_len(len)
    }
}
