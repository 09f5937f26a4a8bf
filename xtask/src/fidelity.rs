//! `cargo xtask fidelity`: renders every scene of the tests warm and cold, under both Blenders, and keeps what came out as
//! `docs/fidelity.md`. What is compared, and how, is the tests' own: see `agent/tests/e2e/fidelity.rs`.

use crate::foreground;
use crate::test;
use crate::workspace::Workspace;

/// The test that renders.
const TEST: &str = "fidelity::the_matrix_of_fidelity_has_no_difference";

/// Makes the matrix.
pub(crate) fn run() -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    let file = workspace.root.join("docs").join("fidelity.md");
    let mut command = workspace.cargo();
    command.args([
        "test",
        "--package",
        "haywain-agent",
        "--test",
        "e2e",
        "--",
        "--ignored",
        "--exact",
        "--nocapture",
        TEST,
    ]);
    test::prepare(&workspace, &mut command)?;
    command.env("HAYWAIN_FIDELITY", &file);
    println!("    {}", foreground::shown(&command));
    foreground::run(&mut command)?;
    println!("==> {} is made", file.display());
    Ok(())
}
