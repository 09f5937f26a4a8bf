//! A certificate authority of one's own, as a studio has one, and the orchestrator's certificate by it. The machine's openssl makes them:
//! where this runs there may be none.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::machine::Machine;

/// Makes the files in a folder of the machine that is in its memory only.
const MAKE: &str = "mkdir -p /tmp/authority && cd /tmp/authority && exec 2>/dev/null \
    && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=An authority' \
        -keyout ca.key -out ca.pem \
    && openssl req -x509 -CA ca.pem -CAkey ca.key -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=haywain \
        -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE -keyout key.pem -out cert.pem";

/// What an orchestrator on loopback shows, and by what that is checked.
pub(super) struct Authority {
    /// Whom agents are to trust.
    pub(super) ca: PathBuf,
    /// The orchestrator's certificate.
    pub(super) cert: PathBuf,
    /// Its key.
    pub(super) key: PathBuf,
}

impl Authority {
    /// The authority's file on the machine.
    pub(super) const ON_MACHINE: &str = "/tmp/authority/ca.pem";

    /// Makes one, with its files in `folder`.
    pub(super) fn make(machine: &Machine, folder: &Path) -> anyhow::Result<Self> {
        machine.run(MAKE)?;
        let file = |name: &str| {
            let path = folder.join(name);
            let text = machine.output(&format!("cat /tmp/authority/{name}"))?;
            std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            anyhow::Ok(path)
        };
        Ok(Self { ca: file("ca.pem")?, cert: file("cert.pem")?, key: file("key.pem")? })
    }
}
