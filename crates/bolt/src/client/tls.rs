//! TLS: whom we believe.
//!
//! - The system's authorities, unless certificates are given; then those and no others. A given certificate may be the
//!   server's own (self-signed, as Neo4j's often are): who presents exactly it, and proves to hold its key, is the server,
//!   under whatever name it was reached.
//! - Any certificate, where the address asks for it.
//!
//! That the server holds the key of what it presents is proved in each case.

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::wire::{Socket, Wire, lost};
use super::{Address, Security};
use crate::error::{Error, Result};

/// Makes a plain connection a safe one.
pub(super) fn secure(
    mut socket: Socket,
    address: &Address,
    authorities: Option<&[u8]>,
    limit: std::time::Duration,
) -> Result<Wire> {
    let server = address.to_string();
    let config = config(address.security, authorities, &server)?;
    let name = ServerName::try_from(address.host.clone()).map_err(|_| Error::Address {
        uri: server.clone(),
        why: "no certificate can be of a host of this name",
    })?;
    let failed = |source| Error::Tls { server: server.clone(), source };
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(failed)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut socket).map_err(|error| match refusal(&error) {
            Some(refusal) => failed(refusal),
            None => lost("TLS", &server, limit, error),
        })?;
    }
    Ok(Wire::Tls(Box::new(StreamOwned::new(tls, socket))))
}

/// The error of TLS in an error of its stream.
fn refusal(error: &io::Error) -> Option<rustls::Error> {
    error.get_ref()?.downcast_ref::<rustls::Error>().cloned()
}

fn config(security: Security, authorities: Option<&[u8]>, server: &str) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let failed = |source| Error::Tls { server: server.to_owned(), source };
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    Ok(match (security, authorities) {
        (Security::TlsAnyCertificate, _) => {
            let verifier = Given { provider, certificates: Vec::new(), signed: None, any: true };
            config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
        (_, Some(pem)) => config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Given::from_pem(pem, provider)?))
            .with_no_client_auth(),
        (_, None) => config.with_platform_verifier().map_err(failed)?.with_no_client_auth(),
    })
}

/// Believes given certificates, and what they have signed.
#[derive(Debug)]
struct Given {
    provider: Arc<CryptoProvider>,
    certificates: Vec<CertificateDer<'static>>,
    signed: Option<Arc<WebPkiServerVerifier>>,
    any: bool,
}

impl Given {
    fn from_pem(pem: &[u8], provider: Arc<CryptoProvider>) -> Result<Self> {
        let wrong = |why: String| Error::Certificates { why };
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| wrong(error.to_string()))?;
        if certificates.is_empty() {
            return Err(wrong("there is none".to_owned()));
        }
        let mut roots = RootCertStore::empty();
        // What cannot be an authority can still be the server's own.
        let (authorities, _) = roots.add_parsable_certificates(certificates.iter().cloned());
        let signed = match authorities {
            0 => None,
            _ => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()
                    .map_err(|error| wrong(error.to_string()))?,
            ),
        };
        Ok(Self { provider, certificates, signed, any: false })
    }
}

impl ServerCertVerifier for Given {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        if self.any || self.certificates.iter().any(|given| given == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        let signed = self.signed.as_ref().ok_or(CertificateError::UnknownIssuer)?;
        signed.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
