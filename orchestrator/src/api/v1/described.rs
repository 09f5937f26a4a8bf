//! What goes for every call and is described with each: who may make it, and the answers that the gate gives.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, OpenApi, RefOr, Response, ResponseBuilder, Schema};

use crate::access::table::{To, rule_of};

const BEARER: &str = "token";
const COOKIE: &str = "session";
/// How a problem document is called in the document.
const PROBLEM: &str = "#/components/schemas/Problem";

/// Adds it all.
pub(super) fn by_the_gate(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("haywain_<role>_…").build();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    components.add_security_scheme(COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("__Host-haywain"))));
    for (path, item) in &mut document.paths.paths {
        let operations = [
            (axum::http::Method::GET, &mut item.get),
            (axum::http::Method::HEAD, &mut item.head),
            (axum::http::Method::POST, &mut item.post),
            (axum::http::Method::PUT, &mut item.put),
            (axum::http::Method::DELETE, &mut item.delete),
        ];
        for (method, operation) in operations {
            if let (Some(operation), Some(rule)) = (operation, rule_of(&method, path)) {
                describe(operation, rule.to, !path.starts_with("/api/"), method == axum::http::Method::HEAD);
            }
        }
    }
}

fn describe(operation: &mut Operation, to: To, is_plain: bool, is_head: bool) {
    let mut answers = vec![
        ("403", "Not with this token, or not for a page of another site", None),
        ("429", "Too often, or too much at once", Some("Retry-After")),
        ("503", "It can't be done now; try again", Some("Retry-After")),
    ];
    if to != To::Everybody {
        answers.push((
            "401",
            "A token is needed, or the one that was shown is not good any more",
            Some("WWW-Authenticate"),
        ));
        let none: [&str; 0] = [];
        operation.security = Some(vec![SecurityRequirement::new(BEARER, none), SecurityRequirement::new(COOKIE, none)]);
    }
    for (status, description, header) in answers {
        let response = || answer(description, header, is_plain, is_head);
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(response()));
    }
}

fn answer(description: &str, header: Option<&str>, is_plain: bool, is_head: bool) -> Response {
    let mut answer = ResponseBuilder::new().description(description);
    if let Some(name) = header {
        answer = answer.header(name, HeaderBuilder::new().build());
    }
    if is_head {
        return answer.build();
    }
    let problem = ContentBuilder::new().schema(Some(utoipa::openapi::Ref::new(PROBLEM))).build();
    answer = answer.content("application/problem+json", problem);
    if is_plain {
        let words = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::String).build();
        answer = answer.content("text/html", ContentBuilder::new().schema(Some(Schema::Object(words))).build());
    }
    answer.build()
}
