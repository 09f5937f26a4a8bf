//! The commands: each asks the orchestrator, and says what it answered.

mod agents;
mod download;
mod jobs;
mod login;
mod logs;
mod scenes;

use clap::CommandFactory as _;
use tokio_util::sync::CancellationToken;

use crate::api::{AgentMove, Api, JobMove};
use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::show::{Form, Show, say};
use crate::watch::{self, Reached};
use crate::{inspect, naming, settings, submit};

/// Runs the command that was given, until it is done or `stop` is cancelled.
pub async fn run(cli: Cli, stop: CancellationToken) -> Outcome {
    if let Command::Completions { shell } = cli.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "haywain", &mut script);
        say(String::from_utf8_lossy(&script).trim_end())?;
        return Ok(Exit::Done);
    }
    let show = Show::new(if cli.common.json { Form::Json } else { Form::Text });
    match cli.command {
        Command::Login => return login::login(&cli.common.given(), show).await,
        Command::Logout => return login::logout(&cli.common.given(), show),
        _ => {}
    }
    let settings = settings::load(&cli.common.given())?;
    let api = Api::new(&settings.server, settings.token, settings.ca.as_deref())
        .map_err(|error| Failure::error(format!("setting up the line to {}: {error}", settings.server)))?;
    let context = Context { api, show, stop };
    match cli.command {
        Command::Submit(args) => submit::run(&context, &args).await,
        Command::Inspect(args) => inspect::run(&context, &args).await,
        Command::Watch(args) => {
            let job = context.unless_stopped("stopped", naming::job(&context.api, &args.job)).await?;
            watch::watch(&context, job, args.out.as_deref(), Reached::Never).await
        }
        command => context.unless_stopped("stopped", short(&context, command)).await,
    }
}

/// Commands that end soon, and may be stopped anywhere.
async fn short(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Status(args) => jobs::status(context, &args.job).await,
        Command::Jobs(args) => jobs::list(context, &args).await,
        Command::Download(args) => download::run(context, &args).await,
        Command::Logs(args) => logs::run(context, &args).await,
        Command::Cancel(args) => jobs::control(context, &args.job, JobMove::Cancel).await,
        Command::Pause(args) => jobs::control(context, &args.job, JobMove::Pause).await,
        Command::Resume(args) => jobs::control(context, &args.job, JobMove::Resume).await,
        Command::Retry(args) => jobs::control(context, &args.job, JobMove::Retry).await,
        Command::Rerender(args) => jobs::rerender(context, &args).await,
        Command::Priority(args) => jobs::priority(context, &args).await,
        Command::Delete(args) => jobs::delete(context, &args.job).await,
        Command::Agents => agents::list(context).await,
        Command::Drain(args) => agents::control(context, &args.agent, AgentMove::Drain).await,
        Command::Undrain(args) => agents::control(context, &args.agent, AgentMove::Undrain).await,
        Command::Scenes(args) => scenes::list(context, args.limit).await,
        Command::Submit(_)
        | Command::Inspect(_)
        | Command::Watch(_)
        | Command::Login
        | Command::Logout
        | Command::Completions { .. } => Ok(Exit::Done),
    }
}
