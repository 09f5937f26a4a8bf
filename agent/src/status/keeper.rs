//! Keeps the status where others can see it: looked at once a second, written when it has changed. The file appears whole, by a
//! rename; it is not synced, for after a crash nobody needs it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Board, FILE, Status, Who, metrics};

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Whoever keeps the status.
pub struct Keeper {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Keeper {
    /// Begins to keep it in the agent's data folder and, if a port is given, to serve it there as metrics.
    pub async fn start(board: Board, who: Who, data_dir: &Path, metrics: Option<u16>) -> anyhow::Result<Self> {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let seen = watch::Sender::new(None);
        if let Some(port) = metrics {
            tasks.spawn(metrics::serve(port, seen.subscribe(), stop.clone()).await?);
        }
        tasks.spawn(keep(board, who, data_dir.to_owned(), seen, stop.clone()));
        Ok(Self { tasks, stop })
    }

    /// Nobody is there any more to be told of: the file goes.
    pub async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn keep(board: Board, who: Who, data_dir: PathBuf, seen: watch::Sender<Option<Status>>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let status = board.status(&who);
        if seen.borrow().as_ref() == Some(&status) {
            continue;
        }
        if let Err(error) = write(&data_dir, &status) {
            tracing::debug!(%error, "the status is not written");
        }
        seen.send_replace(Some(status));
    }
    let _ = std::fs::remove_file(data_dir.join(FILE));
}

fn write(data_dir: &Path, status: &Status) -> std::io::Result<()> {
    let new = data_dir.join("status.json.new");
    std::fs::write(&new, serde_json::to_vec_pretty(status)?)?;
    std::fs::rename(new, data_dir.join(FILE))
}
