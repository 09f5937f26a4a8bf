//! An agent by hand: it leases, and fails what it is told to, without a Blender.

use haywain_shared::ids::{AgentId, RequestId};
use serde_json::{Value, json};

/// A registered agent.
pub(crate) struct Agent {
    server: String,
    id: String,
}

impl Agent {
    pub(crate) fn register(server: &str, name: &str) -> Self {
        let agent = Self { server: server.to_owned(), id: AgentId::generate().to_string() };
        agent.post(
            "/register",
            &json!({
                "agentId": agent.id, "incarnation": 1, "name": name, "slots": 1,
                "machine": { "os": "Debian 13", "arch": "x86_64", "logicalCores": 8, "memoryBytes": 16_000_000_000_u64 },
                "blenders": [{ "version": "3.4.1", "kind": "program" }],
            }),
        );
        agent
    }

    /// Takes a batch, which must be there, and fails its first frame: which one that was.
    pub(crate) fn fail_one(&self, cause: &str, message: &str, log_tail: &str) -> i64 {
        let request = RequestId::generate().to_string();
        let grant = self.post(
            "/lease",
            &json!({ "agentId": self.id, "incarnation": 1, "requestId": request, "memoryAvailableBytes": 8_000_000_000_u64 }),
        );
        let (lease, frame) = (grant["leaseId"].as_str().unwrap(), grant["frames"]["from"].as_i64().unwrap());
        let failure = json!({
            "frame": frame, "cause": cause, "peakMemoryBytes": null, "message": message, "logTail": log_tail,
        });
        self.post(&format!("/leases/{lease}/failures"), &failure);
        self.post(&format!("/leases/{lease}/complete"), &Value::Null);
        frame
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/api/v1/agent{path}", self.server);
        let mut response = ureq::post(url).send_json(body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }
}
