//! A certificate authority for tests, and the certificates that it signs. The integration tests include this file too.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "not every test needs all of it, and the library's own tests have it as a private module"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

/// An authority that no system trusts.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub pem: String,
    key_pem: String,
}

/// A certificate with its key, both in PEM; the key is PKCS#8.
pub struct Certified {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        Self::named(&format!("cxsink test authority {}", MADE.fetch_add(1, Ordering::Relaxed)))
    }

    pub fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let key_pem = key.serialize_pem();
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem, key_pem }
    }

    /// For a server with these names, names or IP addresses; valid now.
    pub fn server(&self, names: &[&str]) -> Certified {
        self.sign(&params("server", names))
    }

    /// As [`server`](Self::server), valid from the first day of one year to that of the other.
    pub fn server_valid(&self, names: &[&str], years: std::ops::Range<i32>) -> Certified {
        let mut params = params("server", names);
        params.not_before = date_time_ymd(years.start, 1, 1);
        params.not_after = date_time_ymd(years.end, 1, 1);
        self.sign(&params)
    }

    /// For a client of this name.
    pub fn client(&self, name: &str) -> Certified {
        let mut params = params(name, &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    /// Its own certificate and key, which no server should show.
    pub fn itself(&self) -> Certified {
        Certified { certificate: self.pem.clone(), key: self.key_pem.clone() }
    }

    fn sign(&self, params: &CertificateParams) -> Certified {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Certified { certificate, key: key.serialize_pem() }
    }
}

impl Certified {
    /// Writes both into one file.
    pub fn write(&self, path: &Path) -> PathBuf {
        std::fs::write(path, format!("{}{}", self.certificate, self.key)).unwrap();
        path.into()
    }
}

fn params(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).into()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params
}
