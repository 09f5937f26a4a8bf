//! What a run ends with: the table of faults, and what was measured.

use std::collections::BTreeMap;

use super::evidence::{Evidence, Handover};
use super::schedule::Kind;
use super::stage::Injection;
use crate::table;

/// What was counted in the pictures and the jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Harvest {
    /// Jobs.
    pub(super) jobs: u64,
    /// Their frames.
    pub(super) frames: u64,
    /// Frames that were not there at the end, or were not the clean run's.
    pub(super) lost: u64,
    /// Frames that were recorded more than once.
    pub(super) doubled: u64,
    /// Frames that were rendered again after they had been recorded, as the protocol allows.
    pub(super) together: usize,
}

/// How often each kind came, and how often whoever was hit was seen at work afterwards.
pub(super) fn faults(evidence: &Evidence<'_>) -> String {
    let mut rows: BTreeMap<Kind, [u64; 2]> = BTreeMap::new();
    for injection in evidence.injections {
        let row = rows.entry(injection.kind).or_default();
        let survived = evidence.survived(injection);
        row[0] += injection.times;
        row[1] += if survived { injection.times } else { 0 };
    }
    let mut all = [0, 0];
    let mut lines = Vec::new();
    for (kind, [injected, survived]) in rows {
        all = [all[0] + injected, all[1] + survived];
        lines.push([kind.name().to_owned(), injected.to_string(), survived.to_string()]);
    }
    lines.push(["all".to_owned(), all[0].to_string(), all[1].to_string()]);
    table::layout(["fault", "injected", "survived"], &lines)
}

/// The lines below the table.
pub(super) fn figures(
    harvest: Harvest,
    causes: &BTreeMap<String, u64>,
    handovers: &[Handover],
    injections: &[Injection],
) -> String {
    let causes: Vec<_> = causes.iter().map(|(cause, times)| format!("{cause} {times}")).collect();
    let cancels = injections.iter().filter(|it| it.kind == Kind::Cancel).filter_map(|it| it.took);
    format!(
        "{} jobs, {} frames: lost {}, doubled {}; rendered by two at once {}\n\
         ended without a frame: {}\n\
         from SIGKILL of an agent to the end of its lease: {}\n\
         from SIGKILL of an agent to its frame's being leased to another: {}\n\
         from a cancel to no Blender at work for the job: {}\n",
        harvest.jobs,
        harvest.frames,
        harvest.lost,
        harvest.doubled,
        harvest.together,
        if causes.is_empty() { "none".to_owned() } else { causes.join(", ") },
        spread(handovers.iter().map(|handover| handover.expired)),
        spread(handovers.iter().map(|handover| handover.leased)),
        spread(cancels),
    )
}

/// The least, the middle and the most of some seconds.
fn spread(seconds: impl IntoIterator<Item = f64>) -> String {
    let mut seconds: Vec<_> = seconds.into_iter().collect();
    seconds.sort_by(f64::total_cmp);
    match (seconds.first(), seconds.get(seconds.len() / 2), seconds.last()) {
        (Some(least), Some(middle), Some(most)) => {
            format!("min {least:.2} s, median {middle:.2} s, max {most:.2} s ({} times)", seconds.len())
        }
        _ => "not measured".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_told_by_their_spread() {
        assert_eq!(spread([]), "not measured");
        assert_eq!(spread([3.0, 1.0, 2.0]), "min 1.00 s, median 2.00 s, max 3.00 s (3 times)");
    }
}
