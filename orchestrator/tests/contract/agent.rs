//! An agent that speaks the protocol by hand: every call is a raw request with the members written out.

use std::net::SocketAddr;

use haywain_shared::ids::{AgentId, LeaseId, RequestId};
use serde_json::{Value, json};

use crate::server::{Farm, sha256};
use crate::wire::{Answer, Request};

const PREFIX: &str = "/api/v1/agent";
const BOUNDARY: &str = "haywain-contract-boundary";

/// A whole PNG of 2 by 2 pixels.
pub(crate) const PNG: [u8; 75] = [
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00,
    0x02, 0x00, 0x00, 0x00, 0x02, 0x08, 0x02, 0x00, 0x00, 0x00, 0xfd, 0xd4, 0x9a, 0x73, 0x00, 0x00, 0x00, 0x12, 0x49,
    0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0xf8, 0xcf, 0xc0, 0xc0, 0x00, 0xc2, 0x0c, 0xff, 0x81, 0x00, 0x00, 0x1f, 0xee,
    0x05, 0xfb, 0xf1, 0xab, 0xba, 0x77, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];

pub(crate) fn request_id() -> String {
    RequestId::generate().to_string()
}

pub(crate) fn lease_id() -> String {
    LeaseId::generate().to_string()
}

pub(crate) fn agent_id() -> String {
    AgentId::generate().to_string()
}

pub(crate) fn get(path: &str) -> Request {
    Request::get(&format!("{PREFIX}{path}"))
}

pub(crate) fn post(path: &str, body: &Value) -> Request {
    Request::post(&format!("{PREFIX}{path}"), body.to_string())
}

/// One life of an agent.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) to: SocketAddr,
    pub(crate) id: String,
    pub(crate) incarnation: u32,
}

impl Agent {
    /// An agent that nobody has heard of yet.
    pub(crate) fn stranger(farm: &Farm) -> Self {
        Self { to: farm.address, id: agent_id(), incarnation: 1 }
    }

    pub(crate) fn registered(farm: &Farm, name: &str) -> Self {
        let agent = Self::stranger(farm);
        let answer = agent.register(name);
        assert_eq!(answer.status, 200, "{answer:?}");
        agent
    }

    /// The same agent, started again. It has not registered yet.
    pub(crate) fn next_life(&self) -> Self {
        Self { incarnation: self.incarnation + 1, ..self.clone() }
    }

    pub(crate) fn register(&self, name: &str) -> Answer {
        let body = json!({
            "agentId": self.id,
            "incarnation": self.incarnation,
            "name": name,
            "slots": 1,
            "machine": {"os": "Debian 13", "arch": "x86_64", "logicalCores": 8, "memoryBytes": 16_000_000_000_u64},
            "blenders": [{"version": "3.4.1", "kind": "program"}, {"version": "5.0.0", "kind": "module"}],
        });
        post("/register", &body).send(self.to)
    }

    /// How an agent asks to be known, by a token of its own.
    pub(crate) fn introduction(&self, name: &str, own: &str) -> Request {
        let body = json!({
            "agentId": self.id,
            "incarnation": self.incarnation,
            "name": name,
            "slots": 1,
            "machine": {"os": "Debian 13", "arch": "x86_64", "logicalCores": 8, "memoryBytes": 16_000_000_000_u64},
            "blenders": [{"version": "3.4.1", "kind": "program"}],
            "tokenSha256": sha256(own.as_bytes()),
        });
        post("/register", &body)
    }

    pub(crate) fn lease_request(&self, request: &str) -> Request {
        let body = json!({"agentId": self.id, "incarnation": self.incarnation, "requestId": request, "memoryAvailableBytes": 8_000_000_000_u64});
        post("/lease", &body)
    }

    pub(crate) fn ask(&self, request: &str) -> Answer {
        self.lease_request(request).send(self.to)
    }

    /// A batch, which must be there.
    pub(crate) fn lease(&self) -> Grant {
        Grant::of(&self.ask(&request_id()))
    }

    /// A heartbeat that names leases, as `HeldLease`s.
    pub(crate) fn heartbeat(&self, held: &Value) -> Answer {
        let body = json!({
            "agentId": self.id,
            "incarnation": self.incarnation,
            "slots": 1,
            "sample": {"coresBusy": 1.5, "memoryAvailableBytes": 8_000_000_000_u64},
            "leases": held,
        });
        post("/heartbeat", &body).send(self.to)
    }

    /// The frames that a heartbeat says are still held under a lease.
    pub(crate) fn held(&self, lease: &str) -> Value {
        let held = json!([{"leaseId": lease, "frame": null, "fraction": 0.0, "framesDone": 0}]);
        let answer = self.heartbeat(&held);
        assert_eq!(answer.status, 200, "{answer:?}");
        let verdicts = answer.json()["leases"].clone();
        assert_eq!((&verdicts[0]["leaseId"], &verdicts[1]), (&lease.into(), &Value::Null), "{verdicts}");
        let standing = &verdicts[0]["standing"];
        if standing["verdict"] == "renewed" { standing["frames"].clone() } else { json!([]) }
    }

    pub(crate) fn put(&self, lease: &Grant, frame: i64) -> Answer {
        Upload::of(lease).saying("name", format!("{frame:04}.png")).put(self.to, &lease.id, frame)
    }

    /// Delivers a frame, which must be recorded.
    pub(crate) fn deliver(&self, lease: &Grant, frame: i64) {
        assert_outcome(&self.put(lease, frame), "recorded");
    }

    /// Leases and delivers until a job's frames are all done.
    pub(crate) fn render(&self, farm: &Farm, job: &str) {
        while farm.counts(job)[0] > 0 {
            let lease = self.lease();
            assert_eq!(lease.job, job);
            for frame in lease.from..=lease.to {
                self.deliver(&lease, frame);
            }
        }
    }

    pub(crate) fn fail(&self, lease: &Grant, frame: i64, cause: &str, message: &str) {
        let report = json!({"frame": frame, "cause": cause, "message": message, "logTail": "the log's end", "peakMemoryBytes": null});
        assert_no_content(&post(&format!("/leases/{}/failures", lease.id), &report).send(self.to));
    }

    /// Fails a job's only frame until it is given up; the leases that it was tried under.
    pub(crate) fn give_up(&self) -> [Grant; 3] {
        [(); 3].map(|()| {
            let lease = self.lease();
            self.fail(&lease, 1, "timed_out", "it took an hour");
            lease
        })
    }

    pub(crate) fn release(&self, lease: &Grant, frames: &[i64]) {
        assert_no_content(&post(&format!("/leases/{}/release", lease.id), &json!({ "frames": frames })).send(self.to));
    }

    pub(crate) fn complete(&self, lease: &Grant) {
        let request = Request::new("POST", &format!("{PREFIX}/leases/{}/complete", lease.id));
        assert_no_content(&request.header("Content-Length", "0").send(self.to));
    }
}

#[track_caller]
pub(crate) fn assert_no_content(answer: &Answer) {
    assert_eq!((answer.status, answer.body.as_slice()), (204, &b""[..]), "{answer:?}");
}

#[track_caller]
pub(crate) fn assert_outcome(answer: &Answer, outcome: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json(), json!({ "outcome": outcome }));
}

/// A granted lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) id: String,
    pub(crate) epoch: u64,
    pub(crate) job: String,
    pub(crate) scene: String,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl Grant {
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{answer:?}");
        let grant = answer.json();
        assert_eq!(grant["work"], "batch", "{grant}");
        let text = |member: &str| grant[member].as_str().unwrap_or_else(|| panic!("{member}: {grant}")).to_owned();
        Self {
            id: text("leaseId"),
            epoch: grant["epoch"].as_u64().unwrap(),
            job: text("jobId"),
            scene: text("scene"),
            from: grant["frames"]["from"].as_i64().unwrap(),
            to: grant["frames"]["to"].as_i64().unwrap(),
        }
    }
}

/// A frame's upload: what is said of it, and the files.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) meta: Value,
    pub(crate) files: Vec<Vec<u8>>,
}

impl Upload {
    /// One PNG, and the truth about it.
    pub(crate) fn of(lease: &Grant) -> Self {
        Self::none_of(lease).file("0001.png", &PNG)
    }

    /// No file yet.
    pub(crate) fn none_of(lease: &Grant) -> Self {
        Self {
            meta: json!({"jobId": lease.job, "generation": 1, "renderMs": 1500, "peakMemoryBytes": 300_000_000, "files": []}),
            files: Vec::new(),
        }
    }

    /// One more file.
    pub(crate) fn file(mut self, name: &str, content: &[u8]) -> Self {
        let said =
            json!({"name": name, "sizeBytes": content.len(), "sha256": sha256(content), "width": 2, "height": 2});
        self.meta["files"].as_array_mut().unwrap().push(said);
        self.files.push(content.to_vec());
        self
    }

    /// Says something else of the first file.
    pub(crate) fn saying(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.meta["files"][0][member] = value.into();
        self
    }

    pub(crate) fn request(&self, lease: &str, frame: i64) -> Request {
        let mut body = Vec::new();
        let mut part = |name: &str, content: &[u8]| {
            let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
            body.extend([head.as_bytes(), content, b"\r\n"].concat());
        };
        part("meta", self.meta.to_string().as_bytes());
        for file in &self.files {
            part("file", file);
        }
        body.extend(format!("--{BOUNDARY}--\r\n").as_bytes());
        Request::new("PUT", &format!("{PREFIX}/leases/{lease}/frames/{frame}"))
            .header("Content-Type", &format!("multipart/form-data; boundary={BOUNDARY}"))
            .body(body)
    }

    pub(crate) fn put(&self, to: SocketAddr, lease: &str, frame: i64) -> Answer {
        self.request(lease, frame).send(to)
    }
}
