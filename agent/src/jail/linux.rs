//! The jail's walls on Linux: Landlock for files, TCP and signals, seccomp for every other way out.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{
    Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setpriority_process, setrlimit,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use super::{Inmate, Strength};

/// What Landlock is asked for; an older kernel gives what it has.
const ASKED: ABI = ABI::V6;
/// The lowest priority. The disk's follows from it (`ioprio_set(2)`).
const HUMBLE: i32 = 19;
/// What the kernel adds, in thousandths of the machine's memory, when it looks for a process to kill: whatever its user has opened is
/// worth more than a frame.
const KILL_FIRST: &str = "900";
/// The bit of the calls of the x32 interface, by which each would be there a second time.
const X32: i64 = 0x4000_0000;

/// Nothing beyond what every user may.
const NO_CAPABILITIES: CapabilitySets = CapabilitySets {
    effective: CapabilitySet::empty(),
    permitted: CapabilitySet::empty(),
    inheritable: CapabilitySet::empty(),
};

/// Shuts the doors and becomes the program.
pub(super) fn become_program(inmate: &Inmate) -> io::Result<Infallible> {
    end_with(inmate.parent)?;
    let no_core = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, no_core)?;
    if inmate.humble {
        setpriority_process(None, HUMBLE)?;
        std::fs::write("/proc/self/oom_score_adj", KILL_FIRST)?;
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

/// Dies when the thread that started it does, unless that has happened already.
fn end_with(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let actual = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if actual == Some(parent) { Ok(()) } else { Err(io::Error::other("the agent that started this is gone")) }
}

fn build_walls(inmate: &Inmate) -> io::Result<Strength> {
    let files = restrict_files(inmate).map_err(io::Error::other)?;
    let calls = seccompiler::apply_filter(&denied_calls()?);
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

/// Calls that fail: new sockets of any kind (pairs are no way out), leaving the process group, and looking into others.
fn denied_calls() -> io::Result<BpfProgram> {
    let denied = [
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
        libc::SYS_add_key,
        libc::SYS_keyctl,
        libc::SYS_request_key,
    ];
    let rules: BTreeMap<i64, Vec<_>> =
        denied.into_iter().flat_map(|call| [(call, Vec::new()), (call | X32, Vec::new())]).collect();
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let denial = SeccompAction::Errno(libc::EACCES.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, denial, arch).map_err(io::Error::other)?;
    filter.try_into().map_err(io::Error::other)
}
