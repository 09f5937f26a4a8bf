//! Which job or agent is meant by what the user types: an id, the beginning or end of one, a name, or `last`. Never a guess
//! between two.

use haywain_shared::ids::{AgentId, JobId};
use haywain_shared::job::JobSummary;

use crate::api::Api;
use crate::exit::{Failure, Outcome};

/// What stands for the youngest job.
const LAST: &str = "last";
/// Jobs on a page.
const PAGE: u32 = 1000;
/// How many pages are looked through for a name.
const MOST_PAGES: usize = 10;
/// How many that fit are named.
const MOST_NAMED: usize = 5;

/// Which one is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meant<T> {
    One(T),
    Several(Vec<T>),
    None,
}

/// The job that is meant.
pub async fn job(api: &Api, text: &str) -> Outcome<JobId> {
    if let Ok(job) = text.parse() {
        return Ok(job);
    }
    if text == LAST {
        let page = api.jobs(None, None, 1).await?;
        return page.jobs.first().map(|job| job.job_id).ok_or_else(|| Failure::error("there is no job yet"));
    }
    let mut jobs: Vec<JobSummary> = Vec::new();
    for _ in 0..MOST_PAGES {
        let page = api.jobs(None, jobs.last().map(|job| job.job_id), PAGE).await?;
        let is_last = page.jobs.len() < PAGE as usize;
        jobs.extend(page.jobs);
        if is_last {
            break;
        }
    }
    let named: Vec<_> = jobs.iter().map(|job| (job.job_id.to_string(), job.name.as_deref())).collect();
    one("job", "haywain jobs", text, &named).and_then(|id| id.parse().map_err(|_| nobody("job", "haywain jobs", text)))
}

/// The agent that is meant.
pub async fn agent(api: &Api, text: &str) -> Outcome<AgentId> {
    if let Ok(agent) = text.parse() {
        return Ok(agent);
    }
    let agents = api.agents().await?;
    let named: Vec<_> = agents.iter().map(|agent| (agent.agent_id.to_string(), Some(agent.name.as_str()))).collect();
    let list = "haywain agents";
    one("agent", list, text, &named).and_then(|id| id.parse().map_err(|_| nobody("agent", list, text)))
}

fn one(kind: &str, list: &str, text: &str, all: &[(String, Option<&str>)]) -> Outcome<String> {
    match meant(text, all) {
        Meant::One(id) => Ok(id),
        Meant::None => Err(nobody(kind, list, text)),
        Meant::Several(ids) => {
            let more = if ids.len() > MOST_NAMED { ", …" } else { "" };
            let some = ids[..ids.len().min(MOST_NAMED)].join(", ");
            Err(Failure::error(format!("{text:?} could be {} {kind}s: {some}{more}; give more of the id", ids.len())))
        }
    }
}

fn nobody(kind: &str, list: &str, text: &str) -> Failure {
    Failure::error(format!("there is no {kind} {text:?}: `{list}` lists them"))
}

/// A name that is unique wins over parts of ids: it was chosen by somebody.
fn meant(text: &str, all: &[(String, Option<&str>)]) -> Meant<String> {
    let lower = text.to_lowercase();
    let is_part = |id: &str| !lower.is_empty() && (id.starts_with(&lower) || id.ends_with(&lower));
    let by_name: Vec<String> = all.iter().filter(|(_, name)| *name == Some(text)).map(|(id, _)| id.clone()).collect();
    let by_id: Vec<String> = all.iter().filter(|(id, _)| is_part(id)).map(|(id, _)| id.clone()).collect();
    match (by_name.len(), by_id.len()) {
        (1, _) => Meant::One(by_name[0].clone()),
        (0, 1) => Meant::One(by_id[0].clone()),
        (0, 0) => Meant::None,
        (0, _) => Meant::Several(by_id),
        (_, _) => Meant::Several(by_name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_an_id_or_a_name_is_enough_if_it_is_unique() {
        let all = [
            ("0192-aa11".to_owned(), Some("shot")),
            ("0192-bb22".to_owned(), Some("shot")),
            ("0193-cc11".to_owned(), Some("0192")),
            ("0193-dd33".to_owned(), None),
        ];
        let one = |id: &str| Meant::One(id.to_owned());
        for (text, expected) in [
            ("0192-aa11", one("0192-aa11")),
            ("aa11", one("0192-aa11")),
            ("BB22", one("0192-bb22")),
            ("0193-d", one("0193-dd33")),
            ("11", Meant::Several(vec!["0192-aa11".to_owned(), "0193-cc11".to_owned()])),
            ("shot", Meant::Several(vec!["0192-aa11".to_owned(), "0192-bb22".to_owned()])),
            ("0192", one("0193-cc11")),
            ("none", Meant::None),
            ("", Meant::None),
        ] {
            assert_eq!(meant(text, &all), expected, "{text}");
        }
    }
}
