//! The status as metrics, in Prometheus' text format, for programs on this machine: `GET /metrics` on a loopback port that the
//! agent's owner has asked for. The agent still is never called from outside.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use metrics::{counter, describe_counter, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Doing, Status};

/// Serves on a port until `stop`.
pub(super) async fn serve(
    port: u16,
    seen: watch::Receiver<Option<Status>>,
    stop: CancellationToken,
) -> anyhow::Result<impl Future<Output = ()>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address} for --metrics: choose another port"))?;
    tracing::info!(address = %listener.local_addr()?, "metrics are served");
    let routes = Router::new().route("/metrics", get(scrape)).with_state(seen);
    let server = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned());
    Ok(async {
        if let Err(error) = server.await {
            tracing::error!(%error, "metrics are served no longer");
        }
    })
}

async fn scrape(State(seen): State<watch::Receiver<Option<Status>>>) -> Response {
    let status = seen.borrow().clone();
    status.map_or_else(
        || StatusCode::SERVICE_UNAVAILABLE.into_response(),
        |status| ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text(&status)).into_response(),
    )
}

/// A status in the format's words. Counters begin anew with the process.
#[expect(clippy::cast_precision_loss, reason = "gauges are floats by their format")]
fn text(status: &Status) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    with_local_recorder(&recorder, || {
        describe_gauge!("haywain_agent_doing", "1 for what the agent does now, 0 for the rest");
        for (word, doing) in [
            ("registering", Doing::Registering),
            ("waiting", Doing::Waiting),
            ("working", Doing::Working),
            ("drained", Doing::Drained),
            ("leaving", Doing::Leaving),
        ] {
            gauge!("haywain_agent_doing", "doing" => word).set(f64::from(u8::from(status.doing == doing)));
        }
        let gauges = [
            (
                "haywain_agent_obstacles",
                "What keeps it from working, or from working well",
                status.obstacles.len() as f64,
            ),
            ("haywain_agent_slots", "Frames rendered at once, at most", f64::from(status.slots)),
            ("haywain_agent_leases", "Batches in work", status.work.len() as f64),
            (
                "haywain_agent_outbox_frames",
                "Finished frames that wait for the orchestrator",
                status.outbox.count as f64,
            ),
            ("haywain_agent_outbox_bytes", "Their size", status.outbox.bytes as f64),
            ("haywain_agent_cache_scenes", "Scenes on this machine", status.cache.count as f64),
            ("haywain_agent_cache_bytes", "Their size", status.cache.bytes as f64),
            ("haywain_agent_cache_max_bytes", "The bound of that", status.cache.max_bytes as f64),
        ];
        for (name, meaning, value) in gauges {
            describe_gauge!(name, meaning);
            gauge!(name).set(value);
        }
        if let Some(at) = status.last_contact {
            describe_gauge!("haywain_agent_last_contact_seconds", "When the orchestrator answered last, as Unix time");
            gauge!("haywain_agent_last_contact_seconds").set(at.as_second() as f64);
        }
        if let Some(machine) = status.machine {
            describe_gauge!("haywain_agent_machine_cores_busy", "Processors in use, all programs together");
            gauge!("haywain_agent_machine_cores_busy").set(f64::from(machine.cores_busy));
            describe_gauge!("haywain_agent_machine_memory_available_bytes", "Memory that a program could still get");
            gauge!("haywain_agent_machine_memory_available_bytes").set(machine.memory_available_bytes as f64);
        }
        let counters = [
            ("haywain_agent_frames_rendered_total", "Frames rendered", status.done.frames),
            ("haywain_agent_render_milliseconds_total", "How long they took", status.done.render_ms),
            ("haywain_agent_failures_total", "Attempts that failed", status.done.failures),
        ];
        for (name, meaning, value) in counters {
            describe_counter!(name, meaning);
            counter!(name).absolute(value);
        }
    });
    handle.render()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::tell::tests::status;

    #[test]
    fn every_number_of_a_status_is_told() {
        let text = text(&status());
        for line in [
            "haywain_agent_doing{doing=\"working\"} 1",
            "haywain_agent_doing{doing=\"waiting\"} 0",
            "haywain_agent_obstacles 1",
            "haywain_agent_slots 2",
            "haywain_agent_leases 2",
            "haywain_agent_outbox_frames 3",
            "haywain_agent_outbox_bytes 3000000",
            "haywain_agent_cache_max_bytes 20000000000",
            "haywain_agent_last_contact_seconds 1764000000",
            "haywain_agent_machine_cores_busy 1.5",
            "haywain_agent_frames_rendered_total 40",
            "haywain_agent_render_milliseconds_total 80000",
            "haywain_agent_failures_total 1",
            "# TYPE haywain_agent_failures_total counter",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
