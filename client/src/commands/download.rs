//! Fetches what a job has finished so far.

use serde_json::json;

use crate::cli::DownloadArgs;
use crate::context::Context;
use crate::download::{Downloader, Fate, FetchError};
use crate::exit::{Exit, Failure, Outcome};
use crate::naming;
use crate::show::{Form, Spinner};
use crate::watch::show_file;

pub(super) async fn run(context: &Context, args: &DownloadArgs) -> Outcome {
    let job = naming::job(&context.api, &args.job).await?;
    let mut downloader = Downloader::open(&context.api, job, &args.out, args.since).map_err(failure)?;
    let (mut fetched, mut kept) = (0_u64, 0_u64);
    {
        let spinner = Spinner::start(context.show, "fetching frames");
        let mut told = |file: crate::download::FileReport| {
            match file.fate {
                Fate::Fetched => fetched += 1,
                Fate::Kept => kept += 1,
                Fate::Failed(_) => {}
            }
            spinner.say(format!("fetching frames: {fetched} fetched, {kept} already there"));
            // One document is promised: what failed is in it.
            if context.show.form == Form::Text {
                spinner.aside(|| show_file(context, &file));
            }
        };
        downloader.fetch_new(&mut told).await.map_err(failure)?;
    }
    let failed = downloader.failed();
    let document = json!({
        "jobId": job, "folder": downloader.folder(), "fetched": fetched, "kept": kept,
        "failed": failed.iter().map(|(path, reason)| json!({ "path": path, "reason": reason })).collect::<Vec<_>>(),
        "cursor": downloader.cursor(),
    });
    context.show.result(&document, || {
        let failed = if failed.is_empty() { String::new() } else { format!(", {} failed", failed.len()) };
        format!(
            "{fetched} fetched, {kept} already there{failed}, in {}\nLater frames alone: --since {}",
            downloader.folder().display(),
            downloader.cursor()
        )
    })?;
    Ok(if failed.is_empty() { Exit::Done } else { Exit::Error })
}

fn failure(error: FetchError) -> Failure {
    match error {
        FetchError::Call(error) => error.into(),
        FetchError::Disk { .. } => Failure::error(error.to_string()),
    }
}
