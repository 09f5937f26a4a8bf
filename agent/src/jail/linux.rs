//! The jail's walls on Linux: Landlock for files, TCP and signals, seccomp for every other way out.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Parser;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{
    Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setpriority_process, setrlimit,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::warden::{self, Duty};
use super::{JAIL, Strength, WARDEN};

/// What Landlock is asked for; an older kernel gives what it has.
const ASKED: ABI = ABI::V6;
/// The lowest priority. The disk's follows from it (`ioprio_set(2)`).
const HUMBLE: i32 = 19;
/// What the kernel adds, in thousandths of the machine's memory, when it looks for a process to kill: whatever its user has opened is
/// worth more than a frame.
const KILL_FIRST: i32 = 900;
/// Where a process says that of itself.
const KILL_ME: &str = "/proc/self/oom_score_adj";
/// The most that a process may have of something, from now on. More than a frame needs, and less than a machine is worth: one file (a runaway
/// one would fill the disk), and a way back from the lowest priority, or to real time, which desktops give to their users. Not among
/// them: processes and threads, which the kernel counts by user, so that Blender would fail for what its user has opened besides, or
/// other containers (systemd's `TasksMax=` counts by service); addresses, of which drivers of GPUs reserve terabytes; processor time,
/// of which a warm Blender has no fixed share; and open files, which only cost whoever has them.
const BOUNDS: [(Resource, u64); 3] = [(Resource::Fsize, 64 << 30), (Resource::Nice, 0), (Resource::Rtprio, 0)];
/// The bit of the calls of the x32 interface, by which each would be there a second time.
const X32: i64 = 0x4000_0000;

/// Nothing beyond what every user may.
const NO_CAPABILITIES: CapabilitySets = CapabilitySets {
    effective: CapabilitySet::empty(),
    permitted: CapabilitySet::empty(),
    inheritable: CapabilitySet::empty(),
};

/// What a jail is told on its command line.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Inmate {
    /// Who it ends with.
    #[arg(long)]
    parent: u32,
    /// Say how strong the walls are, and start nothing.
    #[arg(long)]
    try_walls: bool,
    /// Build no walls: only the rest.
    #[arg(long)]
    open: bool,
    /// Be nobody's equal for processors and disks, and the first to be killed when memory runs out.
    #[arg(long)]
    humble: bool,
    /// A file or folder that may be read, and run.
    #[arg(long)]
    read: Vec<PathBuf>,
    /// A folder that may be written.
    #[arg(long)]
    write: Vec<PathBuf>,
    /// A folder in which links may be made.
    #[arg(long)]
    link: Vec<PathBuf>,
    /// A folder in which files may be moved from one folder into another.
    #[arg(long = "move")]
    moves: Vec<PathBuf>,
    /// The program and its arguments.
    #[arg(last = true)]
    program: Vec<OsString>,
}

/// What the agent's program is when it is started as no agent: a jail, which becomes Blender, or the warden of one. `None` if it is
/// neither.
#[must_use]
pub fn enter(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let ended = match arguments.next()?.to_str()? {
        JAIL => Inmate::try_parse_from(arguments)
            .map_err(io::Error::other)
            .and_then(|inmate| match become_program(&inmate)? {}),
        WARDEN => Duty::try_parse_from(arguments).map_err(io::Error::other).and_then(|duty| warden::keep(&duty)),
        _ => return None,
    };
    Some(ended.unwrap_or_else(|error| {
        eprintln!("the jail: {error}");
        ExitCode::FAILURE
    }))
}

/// Shuts the doors and becomes the program.
fn become_program(inmate: &Inmate) -> io::Result<Infallible> {
    end_with(inmate.parent, Signal::KILL)?;
    leave_no_core()?;
    if inmate.humble {
        setpriority_process(None, HUMBLE)?;
        offer_to_be_killed();
        BOUNDS.into_iter().try_for_each(|(resource, most)| bound(resource, most))?;
    }
    if !inmate.open {
        let strength = build_walls(inmate)?;
        if inmate.try_walls {
            println!("{}", strength.word());
            std::process::exit(0);
        }
    }
    let (program, arguments) = inmate.program.split_first().ok_or_else(|| io::Error::other("no program was named"))?;
    let error = Command::new(program).args(arguments).exec();
    Err(io::Error::new(error.kind(), format!("{}: {error}", program.to_string_lossy())))
}

/// Gets a signal when the thread that started it ends, unless that has happened already.
pub(super) fn end_with(parent: u32, signal: Signal) -> io::Result<()> {
    set_parent_process_death_signal(Some(signal))?;
    let actual = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if actual == Some(parent) { Ok(()) } else { Err(io::Error::other("whoever started this is gone")) }
}

/// What a process had in memory is a stranger's scene, and gigabytes.
pub(super) fn leave_no_core() -> io::Result<()> {
    bound(Resource::Core, 0)
}

/// From now on the process may have no more than that of something, if it was not bound tighter.
fn bound(resource: Resource, most: u64) -> io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(resource);
    let at_most = |now: Option<u64>| Some(now.map_or(most, |now| now.min(most)));
    Ok(setrlimit(resource, Rlimit { current: at_most(current), maximum: at_most(maximum) })?)
}

/// The kernel is to take this process before others when memory runs out. Whoever has started the agent may have offered more already,
/// as Kubernetes does, and only root could take that back.
fn offer_to_be_killed() {
    let offered = std::fs::read_to_string(KILL_ME).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if offered.is_none_or(|offered| offered < KILL_FIRST) {
        // It is a courtesy: no reason not to render.
        let _ = std::fs::write(KILL_ME, KILL_FIRST.to_string());
    }
}

fn build_walls(inmate: &Inmate) -> io::Result<Strength> {
    let files = restrict_files(inmate).map_err(io::Error::other)?;
    let calls = unknown_calls().and_then(|unknown| {
        seccompiler::apply_filter(&unknown).map_err(io::Error::other)?;
        seccompiler::apply_filter(&denied_calls()?).map_err(io::Error::other)
    });
    // What root may do besides: look into other processes, for one. With no new privileges they don't come back at the exec.
    set_capabilities(None, NO_CAPABILITIES)?;
    Ok(match (files, calls) {
        (RulesetStatus::FullyEnforced, Ok(())) => Strength::Full,
        (RulesetStatus::NotEnforced, Err(_)) => Strength::None,
        _ => Strength::Partial,
    })
}

fn restrict_files(inmate: &Inmate) -> Result<RulesetStatus, landlock::RulesetError> {
    let all = AccessFs::from_all(ASKED);
    // No links out of the folder, and nothing that whoever reads it would hang on, or run.
    let odd = AccessFs::MakeSym | AccessFs::MakeFifo | AccessFs::MakeSock | AccessFs::MakeChar | AccessFs::MakeBlock;
    // Nothing moves into another folder, either, but where that is allowed: what was made where links may be would be where they may not.
    let write = all & !(odd | AccessFs::Execute | AccessFs::Refer);
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .handle_access(AccessNet::from_all(ASKED))?
        .scope(Scope::from_all(ASKED))?
        .create()?
        .add_rules(path_beneath_rules(&inmate.read, AccessFs::from_read(ASKED)))?
        .add_rules(path_beneath_rules(&inmate.write, write))?
        .add_rules(path_beneath_rules(&inmate.link, AccessFs::MakeSym))?
        .add_rules(path_beneath_rules(&inmate.moves, AccessFs::Refer))?
        .restrict_self()?;
    Ok(restricted.ruleset)
}

/// Calls that fail: new sockets of any kind (pairs are no way out), leaving the process group, looking into others, what the kernel keeps
/// when whoever has made it is gone, and what Landlock does not look at: modes, owners, times and marks of files that can be read.
const DENIED: [i64; 44] = [
    libc::SYS_socket,
    libc::SYS_io_uring_setup,
    libc::SYS_setsid,
    libc::SYS_setpgid,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_shmget,
    libc::SYS_semget,
    libc::SYS_msgget,
    libc::SYS_mq_open,
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semop,
    libc::SYS_semctl,
    libc::SYS_semtimedop,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_kcmp,
];
/// The same by calls of newer kernels, which have one number everywhere: `setxattrat`, `removexattrat`, `file_setattr`.
const DENIED_BY_NEW_NAMES: [i64; 3] = [463, 466, 469];
/// The same by older calls, which newer architectures do not have.
#[cfg(target_arch = "x86_64")]
const DENIED_BY_OLD_NAMES: [i64; 6] =
    [libc::SYS_chmod, libc::SYS_chown, libc::SYS_lchown, libc::SYS_utime, libc::SYS_utimes, libc::SYS_futimesat];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_BY_OLD_NAMES: [i64; 0] = [];
/// Calls about a process, by which of its arguments says which: 0 is the caller, and other programs' limits and priorities are none of
/// its business.
const ABOUT_A_PROCESS: [(i64, u8); 7] = [
    (libc::SYS_prlimit64, 0),
    (libc::SYS_sched_setaffinity, 0),
    (libc::SYS_sched_setparam, 0),
    (libc::SYS_sched_setscheduler, 0),
    (libc::SYS_sched_setattr, 0),
    (libc::SYS_setpriority, 1),
    (libc::SYS_ioprio_set, 1),
];
/// Calls whose first argument says of whom there is talk, and the value that stands for all of a user's processes (`PRIO_USER`,
/// `IOPRIO_WHO_USER`).
const OF_A_USER: [(i64, u64); 2] = [(libc::SYS_setpriority, 2), (libc::SYS_ioprio_set, 3)];

/// The filter of calls. A child with namespaces of its own is denied, too: it could be more there than it is here.
fn denied_calls() -> io::Result<BpfProgram> {
    let argument = |number, compared, value| {
        let condition = SeccompCondition::new(number, SeccompCmpArgLen::Dword, compared, value);
        SeccompRule::new(vec![condition.map_err(io::Error::other)?]).map_err(io::Error::other)
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut deny = |call: i64, rule: Option<SeccompRule>| {
        for call in [call, call | X32] {
            rules.entry(call).or_default().extend(rule.clone());
        }
    };
    let always = DENIED.into_iter().chain(DENIED_BY_OLD_NAMES).chain(DENIED_BY_NEW_NAMES);
    always.for_each(|call| deny(call, None));
    for (call, number) in ABOUT_A_PROCESS {
        deny(call, Some(argument(number, SeccompCmpOp::Ne, 0)?));
    }
    for (call, user) in OF_A_USER {
        deny(call, Some(argument(0, SeccompCmpOp::Eq, user)?));
    }
    let apart = libc::CLONE_NEWUSER.unsigned_abs().into();
    deny(libc::SYS_clone, Some(argument(0, SeccompCmpOp::MaskedEq(apart), apart)?));
    failing_by(libc::EACCES, rules)
}

/// What is to seem as if the kernel did not know it: of `clone3` a filter cannot see what it is asked for, and who finds that it is not
/// there takes `clone`.
fn unknown_calls() -> io::Result<BpfProgram> {
    failing_by(libc::ENOSYS, [(libc::SYS_clone3, Vec::new()), (libc::SYS_clone3 | X32, Vec::new())].into())
}

/// A filter by which these calls fail.
fn failing_by(error: i32, rules: BTreeMap<i64, Vec<SeccompRule>>) -> io::Result<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let failure = SeccompAction::Errno(error.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, failure, arch).map_err(io::Error::other)?;
    filter.try_into().map_err(io::Error::other)
}
