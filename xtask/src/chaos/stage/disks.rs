//! The disk of each player: small, so that it can be filled.

use std::path::Path;

use super::CAST;
use crate::chaos::disk::Disk;

/// Megabytes of the orchestrator's disk, and of an agent's.
const DISK_MB: (u32, u32) = (768, 64);

/// The disks of everybody.
pub(super) struct Disks {
    orchestrator: Disk,
    agents: Vec<Disk>,
}

impl Disks {
    /// Mounts a disk for everybody, or says why not.
    pub(super) fn mount(folder: &Path) -> anyhow::Result<Result<Self, String>> {
        let orchestrator = match Disk::mount(&folder.join("disk-orchestrator"), DISK_MB.0)? {
            Ok(disk) => disk,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut agents = Vec::new();
        for (name, _) in CAST {
            match Disk::mount(&folder.join(format!("disk-{name}")), DISK_MB.1)? {
                Ok(disk) => agents.push(disk),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        Ok(Ok(Self { orchestrator, agents }))
    }

    /// The disk of an agent, or of the orchestrator.
    pub(super) fn of(&self, agent: Option<usize>) -> &Disk {
        agent.map_or(&self.orchestrator, |agent| &self.agents[agent])
    }
}
