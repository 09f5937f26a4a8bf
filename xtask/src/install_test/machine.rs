//! A machine in namespaces of its own, with systemd as its first process, on a root of which it changes nothing. It shares this machine's
//! network, so that an orchestrator on loopback is reached, and ends with its [`Machine`].

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::foreground;
use crate::interrupt;
use crate::process::{self, Reach};
use crate::service::Service;

/// How long it may take to boot.
const BOOT: Duration = Duration::from_mins(1);
/// How often it is looked whether it has.
const GLANCE: Duration = Duration::from_millis(100);
/// How often the processes are looked at while something is pasted.
const SPY: Duration = Duration::from_millis(5);
/// Makes a root of a lower and an upper folder, and becomes its systemd. Its arguments are the folder and the lower one.
const START: &str = r#"
set -e
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/shm dev/pts
mount -t tmpfs tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
# Not chroot alone: the kernel lets nobody below one make a namespace of users, as PrivateUsers= does.
pivot_root . mnt
exec env -i container=xtask PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . sh -c 'umount -l /mnt && exec /lib/systemd/systemd'
"#;

/// The machine.
pub(super) struct Machine {
    service: Service,
    init: u32,
    folder: PathBuf,
}

impl Machine {
    /// Boots one on `lower`, whose changes go to `folder`.
    pub(super) fn boot(lower: &Path, folder: &Path) -> anyhow::Result<Self> {
        for name in ["upper", "work", "root"] {
            std::fs::create_dir_all(folder.join(name)).with_context(|| format!("creating {}", folder.display()))?;
        }
        let namespaces = ["--mount", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child"];
        let arguments =
            namespaces.map(Into::into).into_iter().chain(["sh".into(), "-c".into(), START.into(), "sh".into()]);
        let arguments: Vec<std::ffi::OsString> = arguments.chain([folder.into(), lower.into()]).collect();
        let log = folder.join("boot.log");
        let mut service = Service::start("the machine", Path::new("unshare"), &arguments, log)?;
        let init = first_child(&mut service)?;
        let mut machine = Self { service, init, folder: folder.to_owned() };
        machine.await_boot()?;
        Ok(machine)
    }

    fn await_boot(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + BOOT;
        while Instant::now() < deadline {
            self.service.check()?;
            let state = self.enter("systemctl is-system-running").stderr(Stdio::null()).output()?;
            // Of a small machine in a container something always fails; what has been started is what counts.
            if matches!(state.stdout.trim_ascii(), b"running" | b"degraded") {
                return Ok(());
            }
            interrupt::pause(GLANCE)?;
        }
        bail!("the machine has not booted after {} s. Its log:\n{}", BOOT.as_secs(), self.service.log());
    }

    /// A shell's line as root there.
    fn enter(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        let namespaces = ["--mount", "--pid", "--ipc", "--uts", "--cgroup", "--root", "--wd"];
        command.arg("--target").arg(self.init.to_string()).args(namespaces);
        command.args(["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]);
        command.args(["sh", "-c", line]).stdin(Stdio::null());
        command
    }

    /// Pastes a line into a shell there, and fails if any process can be seen to have `secret` as an argument or a variable meanwhile.
    pub(super) fn paste(&self, line: &str, secret: &str) -> anyhow::Result<()> {
        let mut command = self.enter("sh");
        let mut shell = command.stdin(Stdio::piped()).spawn().context("starting a shell on the machine")?;
        let mut input = shell.stdin.take().context("a shell without input")?;
        input.write_all(format!("{line}\n").as_bytes()).context("pasting")?;
        drop(input);
        loop {
            let ended = shell.try_wait()?;
            if let Some(who) = who_shows(secret) {
                process::make_sure(&mut shell, Reach::Process, Duration::ZERO)?;
                bail!("everybody on the machine can see the token: {who}");
            }
            interrupt::check()?;
            match ended {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("what was pasted has failed ({status})"),
                None => thread::sleep(SPY),
            }
        }
    }

    /// Runs a line there, and shows what it writes; failing is an error.
    pub(super) fn run(&self, line: &str) -> anyhow::Result<()> {
        foreground::run(&mut self.enter(line)).map_err(|_| anyhow::anyhow!("this failed on the machine: {line}"))
    }

    /// Runs a line there, and returns what it writes.
    pub(super) fn output(&self, line: &str) -> anyhow::Result<String> {
        foreground::output(&mut self.enter(line))
    }
}

/// A process that has `secret` among its arguments or in its environment, by its arguments. Those on the machine are seen from here, too.
fn who_shows(secret: &str) -> Option<String> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    processes.into_iter().find_map(|process| {
        // What has ended meanwhile shows nothing.
        let text =
            |name: &str| String::from_utf8_lossy(&std::fs::read(process.join(name)).unwrap_or_default()).into_owned();
        let arguments = text("cmdline").replace('\0', " ");
        (arguments.contains(secret) || text("environ").contains(secret)).then_some(arguments)
    })
}

/// The first process of the machine, which the service starts.
fn first_child(service: &mut Service) -> anyhow::Result<u32> {
    let id = service.id();
    let file = format!("/proc/{id}/task/{id}/children");
    let deadline = Instant::now() + BOOT;
    while Instant::now() < deadline {
        service.check()?;
        let children = std::fs::read_to_string(&file).unwrap_or_default();
        if let Some(child) = children.split_whitespace().next() {
            return child.parse().with_context(|| format!("reading {file}"));
        }
        interrupt::pause(GLANCE)?;
    }
    bail!("unshare has started nothing. Its log:\n{}", service.log());
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With its first process all others end, and with its mounts what is above the folder.
        if self.service.kill().is_ok() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_seen_among_arguments_and_variables() {
        let secret = format!("secret-of-{}", std::process::id());
        assert_eq!(who_shows(&secret), None);
        // A shell that says when it is there, and stays until its input ends.
        let seen = |command: &mut Command| {
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
            let seen = who_shows(&secret);
            drop(child.stdin.take());
            child.wait().unwrap();
            seen.is_some()
        };
        let waits = "echo ready; read line";
        assert!(seen(Command::new("sh").args(["-c", waits, &secret])));
        assert!(seen(Command::new("sh").args(["-c", waits]).env("TOKEN", &secret)));
        assert!(!seen(Command::new("sh").args(["-c", waits])));
    }
}
