//! The net: this process's own network namespace is the public one, in which the orchestrator serves; behind a router with a
//! namespace of its own is a private one, for the agents. The router masquerades, and lets nothing in that was not asked for.
//!
//! ```text
//! public: this namespace          router                           private
//! public0 198.51.100.10 ───────── outside 198.51.100.1
//!                                 inside 192.168.77.1 ──────────── uplink 192.168.77.2
//! ```
//!
//! `cargo xtask test` gives this process namespaces that end with it, whatever it does: network, mounts and processes. The names
//! of the other two are in a `/run` of its own.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

/// What the orchestrator is called, at whatever address it is.
pub(crate) const HOST: &str = "farm.test";
/// The router's address in public: all that anybody there sees of the agents.
pub(crate) const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The addresses that the orchestrator may have.
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(198, 51, 100, 10), Ipv4Addr::new(198, 51, 100, 20)];
/// How the kernel writes the state of a connection that stands, in `/proc/net/tcp`.
const ESTABLISHED: &str = "01";

/// There is one net at a time: the addresses are the same in each.
static NET: Mutex<()> = Mutex::new(());

/// The net. Its namespaces go with it.
pub(crate) struct Net {
    router: String,
    private: String,
    hosts: NamedTempFile,
    /// Connections of earlier generations are those that the router has forgotten.
    generation: u32,
    _only: MutexGuard<'static, ()>,
}

impl Net {
    /// Lays the lines and sets the router up.
    pub(crate) fn lay() -> Self {
        let only = NET.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(
            devices(),
            ["lo"],
            "this is no empty network namespace, and the tests change the one that they run in: run them by `cargo xtask test`"
        );
        let process = std::process::id();
        let (router, private) = (format!("haywain-router-{process}"), format!("haywain-private-{process}"));
        let net = Self { router, private, hosts: NamedTempFile::new().unwrap(), generation: 1, _only: only };
        net.set_up();
        net
    }

    fn set_up(&self) {
        let Self { router, private, .. } = self;
        for line in [
            "link set lo up".to_owned(),
            format!("netns add {router}"),
            format!("netns add {private}"),
            format!("link add public0 type veth peer name outside netns {router}"),
            format!("-n {router} link add inside type veth peer name uplink netns {private}"),
            "link set public0 up".to_owned(),
            format!("-n {router} address add {ROUTER}/24 dev outside"),
            format!("-n {router} link set outside up"),
            format!("-n {router} address add 192.168.77.1/24 dev inside"),
            format!("-n {router} link set inside up"),
            format!("-n {private} address add 192.168.77.2/24 dev uplink"),
            format!("-n {private} link set uplink up"),
            format!("-n {private} link set lo up"),
            format!("-n {private} route add default via 192.168.77.1"),
        ] {
            ip(&line);
        }
        run(within(router, "sh").args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]));
        self.nft(
            "table ip home {
                chain forward { type filter hook forward priority filter; policy drop; }
                chain input { type filter hook input priority filter; policy drop; }
                chain postrouting { type nat hook postrouting priority srcnat; oifname outside masquerade; }
            }",
        );
        self.nft(&forwarding(self.generation));
        // Names are looked up in this file alone; it is the same one for all, whatever it says.
        self.write_hosts(ADDRESSES[0]);
        run(Command::new("mount").arg("--bind").args([self.hosts.path(), Path::new("/etc/hosts")]));
        ip(&format!("address add {}/24 dev public0", ADDRESSES[0]));
    }

    /// `program`, from where it can call into public, and nobody can call it.
    pub(crate) fn in_private(&self, program: &Path) -> Command {
        within(&self.private, program)
    }

    /// Cuts the line between the router and public.
    pub(crate) fn cut(&self) {
        ip(&format!("-n {} link set outside down", self.router));
    }

    /// Mends it.
    pub(crate) fn mend(&self) {
        ip(&format!("-n {} link set outside up", self.router));
    }

    /// The router forgets every connection that it has let out: what comes on them from either side is dropped, and nobody is told.
    pub(crate) fn forget(&mut self) {
        self.generation += 1;
        self.nft(&format!("flush chain ip home forward\n{}", forwarding(self.generation)));
    }

    /// The orchestrator's machine gets another address in place of the one that it has, and its name leads there.
    pub(crate) fn move_orchestrator(&self) {
        let [old, new] = ADDRESSES;
        ip(&format!("address del {old}/24 dev public0"));
        ip(&format!("address add {new}/24 dev public0"));
        self.write_hosts(new);
    }

    /// The connections from behind the router that stand at `port` in public, as the kernel there sees it.
    pub(crate) fn connections(port: u16) -> usize {
        // Listening on every address of both families is one socket, and so are its connections.
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap());
        let remote = format!("{:08X}:", u32::from_le_bytes(ROUTER.octets()));
        let is_one = |line: &&str| {
            let mut fields = line.split_whitespace().skip(1);
            let (local, other, state) = (fields.next(), fields.next(), fields.next());
            local.is_some_and(|it| it.ends_with(&format!(":{port:04X}")))
                && other.is_some_and(|it| it.contains(&remote))
                && state == Some(ESTABLISHED)
        };
        tables.iter().flat_map(|table| table.lines()).filter(is_one).count()
    }

    /// Where somebody in public would knock who wants to get to an agent.
    pub(crate) const fn door(port: u16) -> SocketAddr {
        SocketAddr::new(std::net::IpAddr::V4(ROUTER), port)
    }

    fn write_hosts(&self, orchestrator: Ipv4Addr) {
        // In place: what is mounted is this file, not its name.
        fs::write(self.hosts.path(), format!("127.0.0.1 localhost\n{orchestrator} {HOST}\n")).unwrap();
    }

    fn nft(&self, rules: &str) {
        let mut nft = within(&self.router, "nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
        assert!(nft.wait().unwrap().success(), "nft: {rules}");
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // What is not there was not made; what stays goes with this process. A namespace takes its ends of the lines with it.
        let _ = Command::new("umount").arg("/etc/hosts").stderr(Stdio::null()).status();
        for name in [&self.router, &self.private] {
            let _ = Command::new("ip").args(["netns", "delete", name]).stderr(Stdio::null()).status();
        }
        let _ = Command::new("ip").args(["link", "delete", "public0"]).stderr(Stdio::null()).status();
    }
}

/// What the router lets through: what answers, and what begins inside, from its first packet on. Connections have the number of the
/// generation in which they began.
fn forwarding(generation: u32) -> String {
    [
        format!("ct mark != 0 ct mark < {generation} drop"),
        "ct state established,related accept".to_owned(),
        format!(
            "iifname inside ct state new tcp flags & (fin | syn | rst | ack) == syn ct mark set {generation} accept"
        ),
    ]
    .map(|rule| format!("add rule ip home forward {rule}\n"))
    .concat()
}

/// The network devices that this process sees.
fn devices() -> Vec<String> {
    let table = fs::read_to_string("/proc/net/dev").unwrap();
    table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

fn within(namespace: &str, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{namespace}")).arg("--").arg(program.as_ref());
    command
}

fn ip(line: &str) {
    run(Command::new("ip").args(line.split(' ')));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
