//! TLS: the certificate and its key, read anew when their files change. One that can't be used never takes the place of one that
//! can.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum_server::tls_rustls::RustlsConfig;
use haywain_shared::transport::use_ring;
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether the files have changed.
const LOOK: Duration = Duration::from_secs(5);
/// After how many looks in vain it is said that the files can't be read.
const LOOKS_IN_VAIN: u32 = 2;

/// A certificate that can be exchanged while it is in use.
pub struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    /// What is in use, or was tried in vain last.
    seen: Pair,
    /// In how many looks running the files could not be read.
    unread: u32,
    config: RustlsConfig,
}

#[derive(Clone, PartialEq, Eq)]
struct Pair {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Pair {
    async fn read(cert: &Path, key: &Path) -> anyhow::Result<Self> {
        let read =
            async |path: &Path, flag| tokio::fs::read(path).await.with_context(|| format!("{flag} {}", path.display()));
        Ok(Self { cert: read(cert, "--tls-cert").await?, key: read(key, "--tls-key").await? })
    }
}

impl Certificate {
    /// The one in these files, if both are named.
    pub async fn open(cert: Option<&Path>, key: Option<&Path>) -> anyhow::Result<Option<Self>> {
        let (cert, key) = match (cert, key) {
            (Some(cert), Some(key)) => (cert, key),
            (None, None) => return Ok(None),
            _ => bail!("--tls-cert and --tls-key go together: the one is of no use without the other"),
        };
        use_ring();
        let seen = Pair::read(cert, key).await?;
        let config = server_config(&seen).await.with_context(|| {
            format!("--tls-cert {} and --tls-key {} can't be used together", cert.display(), key.display())
        })?;
        let config = RustlsConfig::from_config(config);
        Ok(Some(Self { cert: cert.to_owned(), key: key.to_owned(), seen, unread: 0, config }))
    }

    /// What connections are set up by, now and after each change.
    #[must_use]
    pub fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// Looks for changes until `stop`.
    pub async fn watch(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let now = match Pair::read(&self.cert, &self.key).await {
            Ok(now) => now,
            Err(error) => {
                self.unread = self.unread.saturating_add(1);
                // One of them may be missing for a moment while both are exchanged.
                if self.unread == LOOKS_IN_VAIN {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "the certificate and its key can't be read any more: the old ones stay in use until they run out"
                    );
                }
                return;
            }
        };
        self.unread = 0;
        if now == self.seen {
            return;
        }
        match server_config(&now).await {
            Ok(config) => {
                self.config.reload_from_config(config);
                tracing::info!(certificate = %self.cert.display(), "the certificate has changed: the new one is in use");
            }
            Err(error) => tracing::warn!(
                certificate = %self.cert.display(), key = %self.key.display(), %error,
                "the certificate or its key has changed, and they can't be used together: the old ones stay in use"
            ),
        }
        self.seen = now;
    }
}

/// What connections are set up by under a certificate. HTTP/1.1 is offered alone, as it is all that is spoken: a client that is offered
/// more, as curl, would begin with HTTP/2.
async fn server_config(pair: &Pair) -> std::io::Result<Arc<ServerConfig>> {
    let config = RustlsConfig::from_pem(pair.cert.clone(), pair.key.clone()).await?;
    let mut config = (*config.get_inner()).clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[tokio::test]
    async fn a_new_certificate_is_taken_and_half_of_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let [old, new] = [pair(), pair()];
        std::fs::write(&cert, &old.0).unwrap();
        std::fs::write(&key, &old.1).unwrap();
        assert!(Certificate::open(Some(&cert), None).await.is_err());
        assert!(Certificate::open(None, None).await.unwrap().is_none());
        let mut certificate = Certificate::open(Some(&cert), Some(&key)).await.unwrap().unwrap();
        let at_first = certificate.config().get_inner();
        let same = |certificate: &Certificate| Arc::ptr_eq(&at_first, &certificate.config().get_inner());
        certificate.look().await;
        std::fs::write(&cert, &new.0).unwrap();
        certificate.look().await;
        assert!(same(&certificate), "the key is still the old one");
        std::fs::remove_file(&key).unwrap();
        certificate.look().await;
        assert!(same(&certificate));
        std::fs::write(&key, &new.1).unwrap();
        certificate.look().await;
        assert!(!same(&certificate));
        for config in [at_first, certificate.config().get_inner()] {
            assert_eq!(config.alpn_protocols, [b"http/1.1"]);
        }
    }

    #[tokio::test]
    async fn what_is_no_certificate_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let said = async || format!("{:#}", Certificate::open(Some(&cert), Some(&key)).await.err().unwrap());
        assert!(said().await.contains("--tls-cert"));
        let ((good, good_key), other) = (pair(), pair());
        for (certificate, its_key) in [("", ""), (good.as_str(), ""), ("", &good_key), (&good, &other.1)] {
            std::fs::write(&cert, certificate).unwrap();
            std::fs::write(&key, its_key).unwrap();
            assert!(said().await.contains("can't be used together"));
        }
    }
}
