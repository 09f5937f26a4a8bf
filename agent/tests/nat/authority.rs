//! A private certificate authority, and the orchestrator's certificate by it.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// The files of an authority.
pub(crate) struct Authority {
    /// What agents and clients are told to trust.
    pub(crate) ca: PathBuf,
    /// The certificate of the orchestrator.
    pub(crate) cert: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

impl Authority {
    /// An authority that says who `host` is, in files of `folder`.
    pub(crate) fn vouching_for(host: &str, folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&ca_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let cert = leaf.signed_by(&key, &Issuer::new(params, ca_key)).unwrap().pem();
        let [ca, cert, key] =
            [("ca.pem", ca), ("cert.pem", cert), ("key.pem", key.serialize_pem())].map(|(name, text)| {
                let path = folder.join(name);
                fs::write(&path, text).unwrap();
                path
            });
        Self { ca, cert, key }
    }
}
