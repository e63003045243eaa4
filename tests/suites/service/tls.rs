//! TLS: 1.3 and nothing older, post-quantum key exchange, no client certificates, certificates that
//! change while connections stay open (P 4.2.1, architecture A-5).

use std::fs;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mesh_common::protocol::Code;
use mesh_tests::TestService;
use mesh_tests::client::{bare, now};
use mesh_tests::service::{DOMAIN, HOST_NAME};
use mesh_tests::wire::{Tls, tcp};
use meshd::development_ca;
use rustls::client::ResolvesClientCert;
use rustls::{NamedGroup, ProtocolVersion, SignatureScheme, sign};

const HELLO: &[u8] = br#"{"Hello":{}}"#;

// P-4.2.1-a, P-4.2.1-d, P-4-a
#[test]
fn tls_1_3_is_spoken_with_the_default_settings() {
    let service = TestService::start();
    let mut connection = service.connect();
    let session = connection.session().unwrap();
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
    bare(&mut connection, HELLO).must_be(Code::Ok);
}

// P-4.2.1-d
#[test]
fn a_client_that_offers_only_tls_1_2_is_refused() {
    let service = TestService::start();
    let mut socket = tcp(service.address()).unwrap();
    socket.write_all(&client_hello_1_2()).unwrap();
    let mut alert = [0; 7];
    socket.read_exact(&mut alert).unwrap();
    // An alert, fatal: protocol_version (RFC 8446 §6.2).
    assert_eq!((alert[0], alert[5], alert[6]), (21, 2, 70));
}

/// A ClientHello of TLS 1.2 that any server of 2015 would have taken.
fn client_hello_1_2() -> Vec<u8> {
    let extensions: &[u8] = &[
        0, 10, 0, 4, 0, 2, 0, 23, // supported_groups: secp256r1
        0, 11, 0, 2, 1, 0, // ec_point_formats: uncompressed
        0, 13, 0, 6, 0, 4, 4, 3, 8, 4, // signature_algorithms
    ];
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.push(0);
    body.extend_from_slice(&[0, 4, 0xc0, 0x2b, 0xc0, 0x2f]);
    body.extend_from_slice(&[1, 0]);
    body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    body.extend_from_slice(extensions);
    let mut handshake = vec![1, 0];
    handshake.extend_from_slice(&(body.len() as u16).to_be_bytes());
    handshake.extend_from_slice(&body);
    let mut record = vec![22, 3, 1];
    record.extend_from_slice(&(handshake.len() as u16).to_be_bytes());
    record.extend_from_slice(&handshake);
    record
}

// P-4.2.1-a
#[test]
fn the_key_exchange_is_post_quantum_where_both_can() {
    let service = TestService::start();
    let connection = service.connect();
    let group = connection
        .session()
        .unwrap()
        .negotiated_key_exchange_group()
        .unwrap();
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
    let classical = Tls::adjusted(&service.authority(), |config| {
        let mut provider = (**config.crypto_provider()).clone();
        provider
            .kx_groups
            .retain(|group| group.name() == NamedGroup::X25519);
        let mut adjusted = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots(&service.authority()))
            .with_no_client_auth();
        adjusted.alpn_protocols = config.alpn_protocols;
        adjusted
    });
    let mut connection = classical.connect(service.address(), DOMAIN);
    bare(&mut connection, HELLO).must_be(Code::Ok);
}

fn roots(authority: &str) -> rustls::RootCertStore {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(authority.as_bytes()).unwrap();
    roots.add(certificate).unwrap();
    roots
}

/// Notes whether the server asks for a certificate.
#[derive(Debug, Default)]
struct Asked(AtomicBool);

impl ResolvesClientCert for Asked {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<sign::CertifiedKey>> {
        self.0.store(true, Ordering::SeqCst);
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

// P-4.2.2-b
#[test]
fn http_2_is_chosen_only_where_it_is_built_in() {
    let service = TestService::start();
    let tls = Tls::adjusted(&service.authority(), |mut config| {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    });
    let mut connection = tls.connect(service.address(), DOMAIN);
    let chosen = connection.session().unwrap().alpn_protocol();
    if cfg!(feature = "http2") {
        assert_eq!(chosen, Some(&b"h2"[..]));
    } else {
        assert_eq!(chosen, Some(&b"http/1.1"[..]));
        bare(&mut connection, HELLO).must_be(Code::Ok);
    }
}

// P-4.2.1-e
#[test]
fn no_client_certificate_is_asked_for() {
    let service = TestService::start();
    let asked = Arc::new(Asked::default());
    let tls = Tls::adjusted(&service.authority(), |mut config| {
        config.client_auth_cert_resolver = Arc::clone(&asked) as Arc<dyn ResolvesClientCert>;
        config
    });
    let mut connection = tls.connect(service.address(), DOMAIN);
    bare(&mut connection, HELLO).must_be(Code::Ok);
    assert!(!asked.0.load(Ordering::SeqCst));
}

// P-4.2.1-c
#[test]
fn the_certificate_names_every_domain_and_host_and_nobody_else() {
    let service = TestService::start();
    let tls = Tls::trusting(&service.authority());
    for name in [
        DOMAIN,
        "mmm.example.com",
        "example.net",
        HOST_NAME,
        "127.0.0.1",
    ] {
        let mut connection = tls.connect(service.address(), name);
        bare(&mut connection, HELLO).must_be(Code::Ok);
    }
    assert!(tls.try_connect(service.address(), "example.org").is_err());
    let other = TestService::start();
    let stranger = Tls::trusting(&other.authority());
    assert!(
        stranger.try_connect(service.address(), DOMAIN).is_err(),
        "another authority"
    );
}

#[test]
fn a_certificate_is_replaced_without_a_restart() {
    let service = TestService::start();
    let before = service.authority();
    let mut open = service.connect();
    bare(&mut open, HELLO).must_be(Code::Ok);
    let names = [DOMAIN.to_owned()];
    let made = development_ca::make(&names, now()).unwrap();
    let tls = service.data_dir().join("tls");
    fs::write(tls.join("development.key"), &made.key).unwrap();
    fs::write(tls.join("development.pem"), &made.certificate).unwrap();
    service.reload_certificate().unwrap();
    assert!(
        Tls::trusting(&before)
            .try_connect(service.address(), DOMAIN)
            .is_err()
    );
    let mut renewed = Tls::trusting(&made.ca).connect(service.address(), DOMAIN);
    bare(&mut renewed, HELLO).must_be(Code::Ok);
    bare(&mut open, HELLO).must_be(Code::Ok);
}

#[test]
fn a_certificate_that_cannot_be_used_leaves_the_present_one() {
    let service = TestService::start();
    let chain = service.data_dir().join("tls/development.pem");
    fs::write(&chain, "no certificate").unwrap();
    let error = service.reload_certificate().unwrap_err();
    assert!(error.contains("development.pem"), "{error}");
    bare(&mut service.connect(), HELLO).must_be(Code::Ok);
}
