//! A farm on this machine: one orchestrator on a free port of the loopback, and agents. It ends with its [`Farm`]: the agents
//! first, so that they can give back what they hold.

use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::interrupt;
use crate::service::Service;
use crate::workspace::FarmPrograms;

/// How long the orchestrator may take to be ready.
const START: Duration = Duration::from_secs(30);
/// How often it is looked whether it is.
const GLANCE: Duration = Duration::from_millis(50);
/// Ports that are tried: between finding a free one and listening on it, another program may take it.
const PORTS: u32 = 5;
/// How an attempt to connect to this machine's own port may last.
const CONNECT: Duration = Duration::from_secs(1);
/// What the orchestrator's log says when it serves.
const READY: &str = "orchestrator ready";
/// What it says when it could not have its port.
const PORT_TAKEN: &str = "listening on";

/// A running farm.
#[derive(Debug)]
pub(crate) struct Farm {
    folder: PathBuf,
    url: String,
    // Fields are dropped from the first to the last.
    agents: Vec<Service>,
    orchestrator: Service,
}

/// How an attempt to start an orchestrator ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// It serves.
    Ready,
    /// Another program has its port.
    PortTaken,
}

impl Farm {
    /// Starts an orchestrator that keeps everything below `folder`, and waits until it serves.
    pub(crate) fn start(programs: &FarmPrograms, folder: &Path, scene: &Path) -> anyhow::Result<Self> {
        for _ in 0..PORTS {
            let address = free_address()?;
            let arguments = orchestrator_arguments(address, &folder.join("orchestrator"), scene);
            let log = folder.join("orchestrator.log");
            let mut orchestrator = Service::start("the orchestrator", &programs.orchestrator, &arguments, log)?;
            if await_ready(&mut orchestrator, address)? == Start::Ready {
                let url = format!("http://{address}");
                return Ok(Self { folder: folder.to_owned(), url, agents: Vec::new(), orchestrator });
            }
        }
        bail!("{PORTS} times, another program took the port that was free before");
    }

    /// Where the orchestrator is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The number of the orchestrator's process.
    pub(crate) fn orchestrator_id(&self) -> u32 {
        self.orchestrator.id()
    }

    /// The number of an agent's process, in the order of their starts.
    pub(crate) fn agent_id(&self, number: usize) -> Option<u32> {
        self.agents.get(number).map(Service::id)
    }

    /// Starts an agent with one slot.
    pub(crate) fn start_agent(&mut self, programs: &FarmPrograms, name: &str) -> anyhow::Result<()> {
        self.start_agent_with(programs, name, &[])
    }

    /// The same, with further flags.
    pub(crate) fn start_agent_with(
        &mut self,
        programs: &FarmPrograms,
        name: &str,
        flags: &[&str],
    ) -> anyhow::Result<()> {
        let data_dir = self.folder.join(format!("agent-{name}"));
        let log = self.folder.join(format!("agent-{name}.log"));
        let mut arguments: Vec<&OsStr> = vec![
            "--orchestrator".as_ref(),
            self.url.as_ref(),
            "--name".as_ref(),
            name.as_ref(),
            "--data-dir".as_ref(),
            data_dir.as_ref(),
            "--slots".as_ref(),
            "1".as_ref(),
        ];
        arguments.extend(flags.iter().map(OsStr::new));
        self.agents.push(Service::start(&format!("agent {name}"), &programs.agent, &arguments, log)?);
        Ok(())
    }

    /// Lets all agents leave but the first `number`, and waits until they have.
    pub(crate) fn keep_agents(&mut self, number: usize) {
        self.agents.iter_mut().skip(number).for_each(Service::ask_to_stop);
        self.agents.truncate(number);
    }

    /// Fails when one of the farm's programs has ended by itself.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.orchestrator.check()?;
        self.agents.iter_mut().try_for_each(Service::check)
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        // All agents end at the same time; each is then waited for as it is dropped.
        self.agents.iter_mut().for_each(Service::ask_to_stop);
    }
}

/// An address that nobody listens on at this moment.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    listener.local_addr().context("looking for a free port")
}

/// What an orchestrator is told.
pub(crate) fn orchestrator_arguments(address: SocketAddr, data_dir: &Path, scene: &Path) -> [OsString; 6] {
    [
        "--listen".into(),
        address.to_string().into(),
        "--data-dir".into(),
        data_dir.into(),
        "--scene".into(),
        scene.into(),
    ]
}

/// Waits until an orchestrator serves that was started for `address`.
pub(crate) fn await_ready(service: &mut Service, address: SocketAddr) -> anyhow::Result<Start> {
    let deadline = Instant::now() + START;
    while Instant::now() < deadline {
        if let Err(ended) = service.check() {
            return if service.log().contains(PORT_TAKEN) { Ok(Start::PortTaken) } else { Err(ended) };
        }
        // The log too: the port alone could be another's.
        if service.log().contains(READY) && TcpStream::connect_timeout(&address, CONNECT).is_ok() {
            return Ok(Start::Ready);
        }
        interrupt::pause(GLANCE)?;
    }
    bail!("the orchestrator is not ready after {} s. Its log:\n{}", START.as_secs(), service.log());
}
