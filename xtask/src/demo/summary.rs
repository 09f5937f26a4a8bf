//! The table that a finished job ends with.

use std::time::Duration;

use serde_json::Value;

use crate::table;

/// What each agent did for the job, and the whole.
pub(super) fn of(job: &Value, wall: Duration) -> String {
    let shares = job["agents"].as_array().into_iter().flatten().map(|share| {
        let frames = share["frames"].as_u64().unwrap_or_default();
        let rendering = Duration::from_millis(share["renderMs"].as_u64().unwrap_or_default());
        (share["agent"].as_str().unwrap_or("?").to_owned(), frames, rendering)
    });
    let mut shares: Vec<_> = shares.collect();
    shares.sort();
    let rows: Vec<_> = shares
        .iter()
        .map(|(agent, frames, rendering)| {
            [agent.clone(), frames.to_string(), seconds(*rendering), per_second(*frames, *rendering)]
        })
        .collect();
    let frames = shares.iter().map(|(_, frames, _)| frames).sum();
    format!(
        "\n{}\ntotal: {frames} frames in {} s from the submission to the last frame: {} frames/s\n\n",
        table::layout(["agent", "frames", "render seconds", "frames per render second"], &rows),
        seconds(wall),
        per_second(frames, wall),
    )
}

fn seconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people, with two decimals")]
fn per_second(frames: u64, duration: Duration) -> String {
    if duration.is_zero() { "-".to_owned() } else { format!("{:.2}", frames as f64 / duration.as_secs_f64()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_agents_speed_is_by_its_own_render_time() {
        let job = json!({ "agents": [
            { "agent": "two", "frames": 9, "renderMs": 11_900 },
            { "agent": "one", "frames": 11, "renderMs": 12_300 },
            { "agent": "idle", "frames": 0, "renderMs": 0 },
        ] });
        let expected = "
agent  frames  render seconds  frames per render second
idle        0             0.0                         -
one        11            12.3                      0.89
two         9            11.9                      0.76

total: 20 frames in 14.0 s from the submission to the last frame: 1.43 frames/s

";
        assert_eq!(of(&job, Duration::from_secs(14)), expected);
    }
}
