//! What answers here, and as whom it knows the one who asks.

use axum::extract::State;
use haywain_shared::token::Role;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::access::doors::Doors;
use crate::api::App;
use crate::api::problem::Json;

/// What answers here.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    /// Always `haywain`.
    name: &'static str,
    /// Its version.
    version: &'static str,
    /// How far it can be reached, and who is let in.
    access: Doors,
    /// Whether a token is asked for.
    asks_for_tokens: bool,
    /// What its owner should not leave so.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
    /// As whom it knows the one who asks: by the token, if it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    you: Option<You>,
}

/// The bearer of a token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct You {
    /// What the token is called.
    name: String,
    /// What it is for.
    role: Role,
}

/// What answers here, who is let in, and as whom it knows you
#[utoipa::path(get, path = "/api/v1", tag = "about", responses(
    (status = 200, description = "What answers here", body = About),
))]
pub(super) async fn about(State(app): State<App>, caller: Caller) -> Json<About> {
    let doors = app.gate.doors();
    let warning = "INSECURE: everybody who reaches this orchestrator may do everything, without a token";
    let you = match caller {
        Caller::Bearer(pass) => Some(You { name: pass.name, role: pass.role }),
        Caller::Anybody | Caller::Stranger => None,
    };
    Json(About {
        name: "haywain",
        version: env!("CARGO_PKG_VERSION"),
        access: doors,
        asks_for_tokens: app.gate.asks(),
        warning: (doors == Doors::Insecure).then_some(warning),
        you,
    })
}
