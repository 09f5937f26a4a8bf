//! `/api/v1`: everything that people and their programs can ask and do, described by an OpenAPI document that is served with
//! it, and by a page to try it.

mod about;
mod agents;
mod archive;
pub(super) mod blobs;
mod described;
mod events;
mod frames;
mod inspections;
mod jobs;
mod removal;
mod scenes;
mod session;

use axum::Router;
use haywain_shared::ids::JobId;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use super::App;
use super::problem::Failed;

/// Where the OpenAPI document is served.
const DOCUMENT: &str = "/api/v1/openapi.json";
/// Where the page to try the API is served.
pub(super) const PAGE: &str = "/api/v1/docs";

/// Items on a page unless the caller says how many.
const DEFAULT_LIMIT: u32 = 100;
/// The most items on a page.
const MAX_LIMIT: u32 = 1000;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Haywain",
        description = "A pull-based render farm for Blender. Errors are problem documents (RFC 9457). The two calls of the \
            plain API, POST /render and GET /status/{jobId}, answer JSON to those who prefer it to text. What agents say \
            to the orchestrator, under /api/v1/agent, is described in docs/protocol.md.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "jobs", description = "What is to be rendered, and how it stands"),
        (name = "scenes", description = "What jobs are made of: .blend files and what they need"),
        (name = "frames", description = "What has been rendered, to be fetched"),
        (name = "agents", description = "The machines that render"),
        (name = "events", description = "What has changed, as it changes"),
        (name = "about", description = "What answers here"),
    )
)]
struct Description;

/// The routes, and what describes them.
fn described() -> OpenApiRouter<App> {
    let mut router = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(about::about))
        .routes(routes!(session::begin, session::end))
        .routes(routes!(super::render::submit))
        .routes(routes!(super::status::status))
        .routes(routes!(super::install::script))
        .routes(routes!(super::install::file))
        .routes(routes!(super::metrics::metrics))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::one, removal::remove))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::pause))
        .routes(routes!(jobs::resume))
        .routes(routes!(jobs::retry))
        .routes(routes!(jobs::rerender))
        .routes(routes!(jobs::priority))
        .routes(routes!(frames::list))
        .routes(routes!(frames::one))
        .routes(routes!(frames::file))
        .routes(routes!(frames::image))
        .routes(routes!(frames::thumbnail))
        .routes(routes!(archive::archive))
        .routes(routes!(jobs::attempts))
        .routes(routes!(scenes::register, scenes::list))
        .routes(routes!(scenes::one))
        .routes(routes!(scenes::put_file))
        .routes(routes!(inspections::ask))
        .routes(routes!(blobs::head, blobs::get, blobs::put))
        .routes(routes!(agents::list))
        .routes(routes!(agents::drain))
        .routes(routes!(agents::resume))
        .routes(routes!(agents::set_aside))
        .routes(routes!(agents::forget))
        .routes(routes!(events::stream));
    described::by_the_gate(router.get_openapi_mut());
    router
}

/// The routes, the document and the page.
pub(super) fn router() -> Router<App> {
    let (router, document) = described().split_for_parts();
    router.merge(SwaggerUi::new(PAGE).url(DOCUMENT, document))
}

/// How many items a page may have.
fn limit(given: Option<u32>) -> Result<u32, Failed> {
    let limit = given.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        Ok(limit)
    } else {
        Err(Failed::invalid(format!("limit must be from 1 to {MAX_LIMIT}, not {limit}")))
    }
}

/// Says so if there is no such job.
async fn must_exist(app: &App, job: JobId) -> Result<(), Failed> {
    app.store.job_label(job).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use haywain_shared::protocol::PREFIX;

    use super::*;
    use crate::access::table::{Rule, TABLE};

    /// So that `/api/v1/agents`, which is not theirs, does not count.
    const PREFIX_OF_AGENTS: &str = "/api/v1/agent/";

    /// What is described, and the agents' routes, by method and path.
    fn routes() -> BTreeSet<(String, String)> {
        let document = serde_json::to_value(described().split_for_parts().1).unwrap();
        let described = document["paths"].as_object().unwrap().iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| (method.to_uppercase(), path.clone()))
        });
        described.collect()
    }

    /// What has no row in the table nobody may call; what has one, and is not there, was forgotten.
    #[test]
    fn every_route_has_its_row_in_the_table() {
        let undescribed = [DOCUMENT, PAGE, "/api/v1/docs/", "/api/v1/docs/{*rest}"];
        let rows = || TABLE.iter().filter(|row| !undescribed.contains(&row.path));
        let (of_agents, others): (Vec<&Rule>, Vec<&Rule>) =
            rows().partition(|row| row.path.starts_with(PREFIX_OF_AGENTS));
        let others: BTreeSet<_> = others.iter().map(|row| (row.method.to_string(), row.path.to_owned())).collect();
        assert_eq!(others, routes());
        let of_agents: BTreeSet<_> = of_agents.iter().map(|row| row.path.to_owned()).collect();
        let there = crate::api::agent::paths().into_iter().map(|path| format!("{PREFIX}{path}"));
        assert_eq!(of_agents, there.collect());
        let all: BTreeSet<_> = TABLE.iter().map(|row| (row.method.as_str(), row.path)).collect();
        assert_eq!(all.len(), TABLE.len(), "each has one row");
    }

    /// The document is part of the contract: a change of it is a change that somebody has to mean.
    #[test]
    fn the_document_is_the_one_that_is_committed() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let now = described().split_for_parts().1.to_pretty_json().unwrap() + "\n";
        if std::env::var_os("HAYWAIN_BLESS").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(now == committed, "docs/openapi.json differs: if that is meant, run this test with HAYWAIN_BLESS=1");
    }
}
