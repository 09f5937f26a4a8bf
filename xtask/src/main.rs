//! What Haywain's developers run: `cargo xtask demo`, `cargo xtask test`, `cargo xtask chaos`,
//! `cargo xtask fidelity`, `cargo xtask package`, `cargo xtask install-test`, `cargo xtask bench`.
//!
//! It is the first thing that is built on a new machine, so it has few dependencies and none of the workspace's crates:
//! what it knows of the farm is what any client can see.

mod bench;
mod blender;
mod chaos;
mod demo;
mod farm;
mod fidelity;
mod foreground;
mod http;
mod install_test;
mod interrupt;
mod package;
mod packages;
mod process;
mod programs;
mod service;
mod table;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use interrupt::Interrupted;

/// What a shell says of a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// Haywain's development tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    /// What to do.
    #[command(subcommand)]
    task: Task,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Task {
    /// Renders a short film of the demo scene with an orchestrator and two agents on this machine
    ///
    /// Blender is installed if there is none; everything else is kept in a folder demo-N of the current directory.
    Demo(demo::Flags),
    /// Checks and tests everything, as continuous integration does
    ///
    /// What the tests need is installed first: Blender and bpy 5.0, rustfmt, clippy, cargo-deny, shellcheck, iproute2 and nftables.
    Test(test::Flags),
    /// Kills, freezes and cuts off whatever a farm on this machine is made of, and looks whether it loses anything
    ///
    /// Everything is kept in a folder chaos-N of the target folder, which stays when something was found.
    Chaos(chaos::Flags),
    /// Compares warm frames with those of a cold Blender, scene by scene, and writes docs/fidelity.md
    ///
    /// What it needs is installed first: Blender and bpy 5.0.
    Fidelity,
    /// Installs an agent on a bare Debian by one pasted line, has it render a frame, and removes it
    ///
    /// It takes root on Linux. The Debian is made once, by debootstrap, below the target folder (about 1.5 GB).
    InstallTest(install_test::Flags),
    /// Makes Debian packages of the agent and the orchestrator
    ///
    /// cargo-deb is installed first, into the target folder, if there is none.
    Package,
    /// Measures
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let Arguments { task } = Arguments::parse();
    let outcome = interrupt::listen().and_then(|()| match task {
        Task::Demo(flags) => demo::run(&flags),
        Task::Test(flags) => test::run(&flags),
        Task::Chaos(flags) => chaos::run(&flags),
        Task::Fidelity => fidelity::run(),
        Task::InstallTest(flags) => install_test::run(&flags),
        Task::Package => package::run(),
        Task::Bench(bench) => bench::run(&bench),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => {
            eprintln!("{error}");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
