//! SCRAM's channel binding `tls-server-end-point`: a hash of the server's certificate (RFC 5929, section 4.1).
//!
//! A man in the middle has another certificate, so the server refuses the login that it forwards.

use sha2::{Digest, Sha256, Sha384, Sha512};

/// PKCS#1's algorithms (RFC 8017, appendix C), 1.2.840.113549.1.1.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
/// ECDSA's (RFC 3279, section 2.2.3; RFC 5758, section 3.2), 1.2.840.10045.4.
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];

/// The hash, by the function of the certificate's signature, or SHA-256 in place of MD5 and SHA-1. `None` for a signature that
/// names no hash function, such as Ed25519's: such a certificate has no binding.
pub(super) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = signature_algorithm(certificate)?;
    match (algorithm.strip_prefix(RSA), algorithm.strip_prefix(ECDSA)) {
        // MD5, SHA-1, SHA-256; SHA-1, SHA-256.
        (Some([4 | 5 | 11]), _) | (_, Some([1] | [3, 2])) => Some(Sha256::digest(certificate).to_vec()),
        (Some([12]), _) | (_, Some([3, 3])) => Some(Sha384::digest(certificate).to_vec()),
        (Some([13]), _) | (_, Some([3, 4])) => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { algorithm, … }, … }` (RFC 5280, section 4.1).
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (inside, _) = element(certificate, SEQUENCE)?;
    let (_, after) = element(inside, SEQUENCE)?;
    let (algorithm, _) = element(after, SEQUENCE)?;
    element(algorithm, OBJECT_IDENTIFIER).map(|(oid, _)| oid)
}

/// The content of the first DER element, and the rest.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.len() > size_of::<u32>() {
            return None;
        }
        (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
    };
    (found == tag).then_some(())?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};

    fn certificate(algorithm: &'static SignatureAlgorithm) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        CertificateParams::new(vec!["db".into()]).unwrap().self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        let ecdsa_256 = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(server_end_point(&ecdsa_256), Some(Sha256::digest(&ecdsa_256).to_vec()));
        let ecdsa_384 = certificate(&rcgen::PKCS_ECDSA_P384_SHA384);
        assert_eq!(server_end_point(&ecdsa_384), Some(Sha384::digest(&ecdsa_384).to_vec()));
        assert_eq!(server_end_point(&certificate(&rcgen::PKCS_ED25519)), None, "Ed25519 names no hash");
    }

    #[test]
    fn other_bytes_have_no_binding() {
        let whole = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        for length in 0..whole.len() - 100 {
            assert_eq!(server_end_point(&whole[..length]), None);
        }
        for bytes in [&[0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1][..], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x31, 0]] {
            assert_eq!(server_end_point(bytes), None);
        }
    }
}
