//! Jobs: one, all, and what can be done to one.

use haywain_shared::frame_list::FrameList;
use haywain_shared::job::JobReport;
use serde_json::json;

use crate::api::JobMove;
use crate::cache::now_ns;
use crate::cli::{JobsArgs, PriorityArgs, RerenderArgs};
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::show::{Align, Table, ago, short};
use crate::{naming, status};

pub(super) async fn status(context: &Context, job: &str) -> Outcome {
    let job = naming::job(&context.api, job).await?;
    let report = context.api.job(job).await?;
    context.show.result(&report, || status::in_full(&report, context.show.style, now_ns()))?;
    Ok(Exit::Done)
}

pub(super) async fn list(context: &Context, args: &JobsArgs) -> Outcome {
    let page = context.api.jobs(args.state.map(Into::into), None, args.limit).await?;
    let style = context.show.style;
    context.show.result(&page, || {
        let mut table = Table::new([
            ("JOB", Align::Left),
            ("NAME", Align::Name),
            ("STATE", Align::Left),
            ("DONE", Align::Right),
            ("RUNNING", Align::Right),
            ("FAILED", Align::Right),
            ("PRIORITY", Align::Right),
            ("SUBMITTED", Align::Left),
        ]);
        for job in &page.jobs {
            table.row([
                short(&job.job_id),
                job.name.clone().unwrap_or_default(),
                style.job(job.state),
                format!("{}/{}", job.counts.done, job.counts.total),
                job.counts.leased.to_string(),
                job.counts.failed.to_string(),
                job.priority.to_string(),
                ago(job.created_at, now_ns()),
            ]);
        }
        table.show(style, context.show.columns, "There are no such jobs")
    })?;
    Ok(Exit::Done)
}

pub(super) async fn control(context: &Context, job: &str, wanted: JobMove) -> Outcome {
    let job = naming::job(&context.api, job).await?;
    let report = context.api.move_job(job, wanted).await?;
    moved(context, &report)
}

pub(super) async fn rerender(context: &Context, args: &RerenderArgs) -> Outcome {
    let frames = FrameList::all_of(args.frames.iter().map(|frames| frames.list.clone()))
        .map_err(|error| Failure::error(error.to_string()))?;
    let job = naming::job(&context.api, &args.job).await?;
    let report = context.api.rerender(job, frames.runs()).await?;
    moved(context, &report)
}

pub(super) async fn priority(context: &Context, args: &PriorityArgs) -> Outcome {
    let job = naming::job(&context.api, &args.job).await?;
    let report = context.api.set_priority(job, args.priority).await?;
    moved(context, &report)
}

pub(super) async fn delete(context: &Context, job: &str) -> Outcome {
    let job = naming::job(&context.api, job).await?;
    context.api.delete_job(job).await?;
    context.show.result(&json!({ "jobId": job, "deleted": true }), || format!("{job} deleted"))?;
    Ok(Exit::Done)
}

fn moved(context: &Context, report: &JobReport) -> Outcome {
    context.show.result(report, || format!("{}, priority {}", status::in_a_line(report), report.priority))?;
    Ok(Exit::Done)
}
