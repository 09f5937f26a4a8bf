//! What agents have found out of this machine's Blenders goes on from farm to farm: each farm's agents would try them all anew, for
//! seconds each.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// Where an agent keeps it, in its data folder.
const FILE: &str = "blenders.json";

/// What was heard, by the path of the Blender.
static HEARD: Mutex<BTreeMap<String, Value>> = Mutex::new(BTreeMap::new());

/// Takes what the agents of a farm have found out by trying.
pub(crate) fn heard_in(farm: &Path) {
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    for agent in fs::read_dir(farm).into_iter().flatten().flatten() {
        let text = fs::read(agent.path().join(FILE)).unwrap_or_default();
        let entries: Vec<Value> = serde_json::from_slice(&text).unwrap_or_default();
        let tried = entries.into_iter().filter(|entry| entry["tried"].is_object());
        heard.extend(tried.filter_map(|entry| Some((entry["path"].as_str()?.to_owned(), entry))));
    }
}

/// Tells it to an agent in its first life; it counts as long as the files are the same, as ever.
pub(crate) fn told_to(data_dir: &Path) {
    let heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    if data_dir.exists() || heard.is_empty() {
        return;
    }
    fs::create_dir(data_dir).unwrap();
    let entries: Vec<_> = heard.values().collect();
    fs::write(data_dir.join(FILE), serde_json::to_vec(&entries).unwrap()).unwrap();
}
