use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    AlertDescription, CertificateError as Bad, ProtocolVersion, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion, version,
};

use super::authority::{Authority, Certified};
use super::provider::client_config;
use super::*;
use crate::config::{TlsConfig, TlsVersion};
use crate::error::{ErrorKind, Result};

const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS12, &version::TLS13];

/// A server's settings; with `clients` it requires a certificate that this authority signed.
fn server_config(
    certified: &Certified,
    clients: Option<&Authority>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(certified.certificate.as_bytes()).map(|found| found.unwrap()).collect();
    let key = PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).unwrap();
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// The negotiated application protocol and version.
type Agreed = (Option<Vec<u8>>, Option<ProtocolVersion>);

/// A handshake over a real socket, then one byte from the server: with TLS 1.3 only this read fails for a refused client.
fn shake(tls: &TlsConfig, server: Arc<ServerConfig>, host: &str) -> Result<Agreed> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        let mut session = ServerConnection::new(server).unwrap();
        let mut stream = rustls::Stream::new(&mut session, &mut tcp);
        let _ = io::Write::write_all(&mut stream, b"!");
        // A close with unread data would cause a reset, which can overtake the alert.
        let _ = io::copy(&mut tcp, &mut io::sink());
    });
    let mut session = session(tls, host)?;
    let mut tcp = TcpStream::connect(address).unwrap();
    let read = io::Read::read_exact(&mut rustls::Stream::new(&mut session, &mut tcp), &mut [0]);
    drop(tcp);
    serving.join().unwrap();
    match read {
        Ok(()) => Ok((session.alpn_protocol().map(Into::into), session.protocol_version())),
        Err(error) => Err(refused("host:443", inside(&error).unwrap())),
    }
}

fn file(directory: &tempfile::TempDir, name: &str, text: impl AsRef<[u8]>) -> std::path::PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn trusting(directory: &tempfile::TempDir, authorities: &[&Authority]) -> TlsConfig {
    let text: String = authorities.iter().map(|authority| authority.pem.as_str()).collect();
    TlsConfig { ca_file: Some(file(directory, "ca.pem", text)), ..TlsConfig::default() }
}

#[test]
fn a_certificate_of_a_trusted_authority_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let (other, authority) = (Authority::new(), Authority::new());
    // The second authority in the file is trusted as well.
    let tls = trusting(&directory, &[&other, &authority]);
    let certified = authority.server(&["localhost", "127.0.0.1", "::1"]);
    for host in ["localhost", "LOCALHOST", "127.0.0.1", "::1"] {
        let (alpn, version) = shake(&tls, server_config(&certified, None, BOTH), host).unwrap();
        assert_eq!(alpn.as_deref(), Some(b"http/1.1".as_slice()), "HTTP/2 was offered too");
        assert_eq!(version, Some(ProtocolVersion::TLSv1_3));
    }
}

#[test]
fn each_invalid_certificate_has_its_error_and_hint() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::named("ours");
    let check = |certified: &Certified, what: &str, hint: &str| {
        let tls = trusting(&directory, &[&authority]);
        let error = shake(&tls, server_config(certified, None, BOTH), "localhost").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.is_retryable());
        assert!(error.message().starts_with("TLS with host:443: "), "{error}");
        assert!(error.message().contains(what), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
    };
    check(&authority.server_valid(&["localhost"], 2020..2024), "expired on 2024-01-01 00:00:00 UTC", "clock");
    check(&authority.server_valid(&["localhost"], 2100..2110), "not valid before 2100-01-01 00:00:00 UTC", "clock");
    check(&authority.server(&["other.example", "127.0.0.1"]), "not for localhost, but for", "tls.server_name");
    check(&authority.server(&["other.example"]), "other.example", "check the host");
    check(&authority.server(&[]), "no name", "check the host");
    check(&Authority::new().server(&["localhost"]), "authority that is not trusted", "tls.ca_file");
    check(&Authority::named("ours").server(&["localhost"]), "but another key", "new certificate");
    check(&authority.itself(), "the certificate of an authority as its own", "without `CA:TRUE`");
}

#[test]
fn tls_server_name_replaces_the_host() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let certified = authority.server(&["api.example"]);
    let mut tls = trusting(&directory, &[&authority]);
    shake(&tls, server_config(&certified, None, BOTH), "127.0.0.1").unwrap_err();
    tls.server_name = Some("api.example".into());
    shake(&tls, server_config(&certified, None, BOTH), "127.0.0.1").unwrap();
    tls.server_name = Some("not a name".into());
    let error = shake(&tls, server_config(&certified, None, BOTH), "127.0.0.1").unwrap_err();
    assert!(error.message().contains("tls.server_name: \"not a name\" cannot be used"), "{error}");
}

#[test]
fn a_client_certificate_is_sent_if_the_server_requires_it() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, clients) = (Authority::new(), Authority::new());
    let certified = authority.server(&["localhost"]);
    let mut tls = trusting(&directory, &[&authority]);
    for versions in [&BOTH[..1], &BOTH[1..]] {
        let server = server_config(&certified, Some(&clients), versions);
        (tls.cert_file, tls.key_file) = (None, None);
        let error = shake(&tls, Arc::clone(&server), "localhost").unwrap_err();
        assert!(error.hint().unwrap().contains("tls.cert_file"), "{error:?}");

        let one_file = clients.client("me").write(&directory.path().join("client.pem"));
        (tls.cert_file, tls.key_file) = (Some(one_file.clone()), Some(one_file));
        shake(&tls, Arc::clone(&server), "localhost").unwrap();

        // From an authority that the server does not trust.
        let foreign = authority.client("me").write(&directory.path().join("foreign.pem"));
        (tls.cert_file, tls.key_file) = (Some(foreign.clone()), Some(foreign));
        let error = shake(&tls, server, "localhost").unwrap_err();
        assert!(error.message().contains("requires a client certificate that it accepts"), "{error}");
    }
}

#[test]
fn versions_below_min_version_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let certified = authority.server(&["localhost"]);
    let mut tls = trusting(&directory, &[&authority]);
    let old = server_config(&certified, None, &BOTH[..1]);
    assert_eq!(shake(&tls, Arc::clone(&old), "localhost").unwrap().1, Some(ProtocolVersion::TLSv1_2));
    tls.min_version = TlsVersion::Tls13;
    let error = shake(&tls, old, "localhost").unwrap_err();
    assert!(error.message().contains("no version of TLS in common"), "{error}");
    assert!(error.hint().unwrap().contains("tls.min_version"), "{error:?}");
    assert_eq!(
        shake(&tls, server_config(&certified, None, BOTH), "localhost").unwrap().1,
        Some(ProtocolVersion::TLSv1_3)
    );
}

#[test]
fn files_are_read_again_for_each_connection() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new(), Authority::new());
    let server = server_config(&new.server(&["localhost"]), Some(&new), BOTH);
    let mut tls = trusting(&directory, &[&old]);
    let client = old.client("me").write(&directory.path().join("client.pem"));
    (tls.cert_file, tls.key_file) = (Some(client.clone()), Some(client.clone()));
    shake(&tls, Arc::clone(&server), "localhost").unwrap_err();
    file(&directory, "ca.pem", &new.pem);
    shake(&tls, Arc::clone(&server), "localhost").unwrap_err();
    new.client("me").write(&client);
    shake(&tls, server, "localhost").unwrap();
}

#[test]
fn keys_in_pkcs8_pkcs1_and_sec1_are_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let check = |certificate: &str, key: &str| {
        let tls = TlsConfig {
            cert_file: Some(file(&directory, "cert.pem", certificate)),
            key_file: Some(file(&directory, "key.pem", key)),
            ..trusting(&directory, &[&Authority::new()])
        };
        client_config(&tls, &[]).unwrap();
    };
    let client = Authority::new().client("me");
    check(&client.certificate, &client.key);
    check(&client.certificate, &sec1(&client.key));
    // rcgen with ring generates no RSA keys, so this one is a file.
    let rsa = include_str!("testdata/rsa_pkcs1.pem");
    check(rsa, rsa);
}

/// A P-256 key in PKCS#8 contains its SEC1 form (RFC 5208, RFC 5915): the sequence whose first member is the version 1.
fn sec1(pkcs8: &str) -> String {
    let PrivateKeyDer::Pkcs8(der) = PrivateKeyDer::from_pem_slice(pkcs8.as_bytes()).unwrap() else { panic!() };
    let der = der.secret_pkcs8_der();
    let version = der.windows(3).position(|window| window == [2, 1, 1]).unwrap();
    let length = usize::from(der[version - 1]);
    let sec1 = &der[version - 2..version + length];
    assert_eq!(sec1[0], 0x30);
    let text = rcgen_pem(sec1);
    format!("-----BEGIN EC PRIVATE KEY-----\n{text}\n-----END EC PRIVATE KEY-----\n")
}

fn rcgen_pem(der: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(der)
}

#[test]
fn errors_name_the_key_the_file_and_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let good = Authority::new().client("me");
    let good_path = good.write(&directory.path().join("good.pem"));
    let check = |key: &str, text: &[u8], why: &str| {
        let path = file(&directory, "bad.pem", text);
        let mut tls = trusting(&directory, &[&Authority::new()]);
        match key {
            "tls.ca_file" => tls.ca_file = Some(path.clone()),
            "tls.cert_file" => (tls.cert_file, tls.key_file) = (Some(path.clone()), Some(good_path.clone())),
            _ => (tls.cert_file, tls.key_file) = (Some(good_path.clone()), Some(path.clone())),
        }
        let error = client_config(&tls, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.is_retryable(), "the file may be about to be replaced: {error}");
        assert!(error.message().contains(key), "{error}");
        assert!(error.message().contains(&*path.to_string_lossy()), "{error}");
        assert!(error.message().contains(why), "{error}");
        assert!(error.hint().is_some());
        assert!(!format!("{error:?}").contains("c2VjcmV0"), "{error:?}");
    };
    let broken = good.certificate.replace("-----END", "c2VjcmV0*\n-----END");
    for key in ["tls.ca_file", "tls.cert_file"] {
        check(key, b"", "no `BEGIN CERTIFICATE`");
        check(key, good.key.as_bytes(), "no `BEGIN CERTIFICATE`");
        check(key, b"\x30\x82\x01", "no `BEGIN CERTIFICATE`");
        check(key, b"-----BEGIN CERTIFICATE-----\nc2VjcmV0", "no matching `END`");
        check(key, broken.as_bytes(), "not Base64");
        check(key, &vec![b'x'; 5 << 20], "larger than 4 MiB");
    }
    let not_a_certificate = "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n";
    check("tls.ca_file", format!("{}{not_a_certificate}", good.certificate).as_bytes(), "certificate 2: ");
    check("tls.key_file", good.certificate.as_bytes(), "no `BEGIN PRIVATE KEY`");
    check("tls.key_file", Authority::new().client("me").key.as_bytes(), "does not belong to the first certificate");
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nc2VjcmV0\n-----END ENCRYPTED PRIVATE KEY-----\n";
    check("tls.key_file", encrypted.as_bytes(), "is encrypted");
    let traditional = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,46C4\n\nc2VjcmV0\n-----END RSA PRIVATE KEY-----\n";
    check("tls.key_file", traditional.as_bytes(), "is encrypted");

    let missing = TlsConfig { ca_file: Some("/nowhere/ca.pem".into()), ..TlsConfig::default() };
    let error = client_config(&missing, &[]).unwrap_err();
    assert!(error.message().contains("tls.ca_file: reading /nowhere/ca.pem: "), "{error}");
}

#[test]
fn without_a_file_the_systems_authorities_are_trusted() {
    // The test's authority is none of the system's.
    let authority = Authority::new();
    let server = server_config(&authority.server(&["localhost"]), None, BOTH);
    let roots =
        trusted(IN_SECTION.ca, None).expect("this machine has no certificate authorities: install ca-certificates");
    assert!(!roots.is_empty());
    let error = shake(&TlsConfig::default(), server, "localhost").unwrap_err();
    assert!(error.message().contains("not trusted"), "{error}");
}

#[test]
fn each_problem_has_its_hint() {
    let check = |error: rustls::Error, problem: Problem, hint: &str| {
        assert_eq!(Problem::of(&error), problem, "{error}");
        let refusal = refused("host:443", &error);
        assert!(refusal.hint().unwrap().contains(hint), "{refusal:?}");
    };
    check(Bad::UnknownIssuer.into(), Problem::UnknownCa, "tls.ca_file");
    check(Bad::Expired.into(), Problem::Expired, "renewed");
    check(Bad::NotValidYet.into(), Problem::NotYetValid, "clock");
    check(Bad::NotValidForName.into(), Problem::WrongHost, "host");
    check(Bad::BadSignature.into(), Problem::WrongKey, "tls.ca_file");
    check(Bad::Revoked.into(), Problem::BadCertificate, "proxy");
    check(rustls::InvalidMessage::InvalidContentType.into(), Problem::NotTls, "speak TLS");
    let alert = rustls::Error::AlertReceived;
    check(alert(AlertDescription::CertificateRequired), Problem::ClientCertificate, "tls.cert_file");
    check(alert(AlertDescription::ProtocolVersion), Problem::Version, "TLS 1.3");
    check(alert(AlertDescription::HandshakeFailure), Problem::NothingInCommon, "P-521");
    check(alert(AlertDescription::InternalError), Problem::Refused, "log");
    check(rustls::Error::DecryptError, Problem::Other, "address");
}
