//! The machine's GPUs as the system tells of them, beside what Blender says: their memory, for people, and whether they are still
//! those that Blender was tried with. What the system does not tell is not guessed.

use haywain_shared::protocol::GpuFacts;
use sysinfo::Gpus;

/// The GPUs that the system tells of. One without an answer has none.
#[must_use]
pub fn seen() -> Vec<GpuFacts> {
    let Ok(gpus) = Gpus::new_with_refreshed_list() else { return Vec::new() };
    let known = |gpu: &sysinfo::Gpu| {
        let words: Vec<_> = gpu.vendor().into_iter().chain(gpu.model()).collect();
        GpuFacts { name: words.join(" "), memory_bytes: gpu.total_memory().filter(|bytes| *bytes > 0) }
    };
    gpus.iter().map(known).collect()
}

/// GPUs and their drivers, in words that change when Blender may be able to do other things with them.
#[must_use]
pub fn and_drivers(gpus: &[GpuFacts]) -> String {
    // Empty without that driver, and on other systems.
    let nvidia = std::fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    let names: Vec<_> = gpus.iter().map(|gpu| gpu.name.as_str()).collect();
    format!("{}; {}", names.join(", "), nvidia.lines().next().unwrap_or_default())
}
