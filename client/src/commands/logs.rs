//! Why attempts ended, and what Blender said: of those that have failed, and of the frames in work.

use haywain_shared::job::{AttemptReport, BatchReport};
use serde_json::json;

use crate::cache::now_ns;
use crate::cli::LogsArgs;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::naming;
use crate::show::{Style, ago};

pub(super) async fn run(context: &Context, args: &LogsArgs) -> Outcome {
    let job = naming::job(&context.api, &args.job).await?;
    let report = context.api.job(job).await?;
    let mut attempts = context.api.attempts(job, args.frame).await?.attempts;
    if args.frame.is_none() {
        // Of a whole job those that brought a frame are no news.
        attempts.retain(|attempt| attempt.cause.is_some());
    }
    let running: Vec<&BatchReport> = report
        .batches
        .iter()
        .filter(|batch| batch.frame_in_work.is_some() && (args.frame.is_none() || batch.frame_in_work == args.frame))
        .collect();
    let document = json!({ "jobId": job, "attempts": attempts, "running": running });
    context.show.result(&document, || text(&attempts, &running, context.show.style))?;
    Ok(Exit::Done)
}

fn text(attempts: &[AttemptReport], running: &[&BatchReport], style: Style) -> String {
    let now = now_ns();
    let ended = attempts.iter().map(|attempt| {
        let outcome = match (attempt.cause, attempt.render_ms) {
            (Some(cause), _) => format!("{cause}: {}", attempt.message),
            (None, Some(ms)) => format!("done in {ms} ms"),
            (None, None) => "done".to_owned(),
        };
        let head = format!("frame {} on {}, {}", attempt.frame, attempt.agent, ago(attempt.ended_at, now));
        format!("{}: {outcome}{}", style.heading(&head), indented(&attempt.log_tail))
    });
    let in_work = running.iter().map(|batch| {
        let frame = batch.frame_in_work.map(|frame| frame.to_string()).unwrap_or_default();
        let head = format!("frame {frame} on {}, now", batch.agent);
        format!("{}: {:.0} %{}", style.heading(&head), batch.fraction * 100.0, indented(&batch.log_tail))
    });
    let all: Vec<String> = ended.chain(in_work).collect();
    if all.is_empty() { "Nothing has failed, and nothing is in work".to_owned() } else { all.join("\n") }
}

fn indented(log: &str) -> String {
    log.lines().flat_map(|line| ["\n    ", line]).collect()
}
