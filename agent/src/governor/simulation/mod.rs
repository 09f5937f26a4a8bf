//! The governor on machines that are simulated: after it has settled it is within a tenth of the best fixed setting, which is
//! found by trying all of them; it is never over memory; and it changes its mind seldom.

mod machine;

use self::machine::{Machine, Scene};
use super::{Governor, Limits, Setting};
use crate::memory::limits::Limits as MemoryLimits;

const GIB: u64 = 1 << 30;
const HOUR_S: f64 = 3600.0;

/// Scales with threads, and suffers from company.
const SCALES: Scene =
    Scene { serial_s: 0.1, parallel_s: 8.0, wait_s: 0.02, crowding: 0.06, session_bytes: GIB, start_s: 3.0 };
/// One processor's work, whatever the threads.
const DOES_NOT_SCALE: Scene =
    Scene { serial_s: 1.0, parallel_s: 0.2, wait_s: 0.1, crowding: 0.01, session_bytes: GIB, start_s: 1.5 };
/// A little of everything.
const MIXED: Scene =
    Scene { serial_s: 1.2, parallel_s: 4.0, wait_s: 0.4, crowding: 0.02, session_bytes: GIB, start_s: 2.0 };
/// Would gain by many slots, and has no room for them.
const LARGE: Scene = Scene { session_bytes: 3 * GIB, ..DOES_NOT_SCALE };
/// Waits for a disk or a network half of its time.
const WAITS: Scene =
    Scene { serial_s: 0.2, parallel_s: 1.0, wait_s: 1.2, crowding: 0.0, session_bytes: GIB, start_s: 2.0 };
/// Frames of minutes.
const HEAVY: Scene =
    Scene { serial_s: 20.0, parallel_s: 150.0, wait_s: 1.0, crowding: 0.02, session_bytes: 2 * GIB, start_s: 40.0 };

fn nobody(_: f64) -> f64 {
    0.0
}

/// Works for an hour, is away for an hour, and so on.
fn hourly(now_s: f64) -> f64 {
    if (now_s / HOUR_S).rem_euclid(2.0) < 1.0 { 0.0 } else { 1.1 }
}

/// Takes most of a large machine, in turns of two hours.
fn in_turns(now_s: f64) -> f64 {
    if (now_s / HOUR_S).rem_euclid(4.0) < 2.0 { 0.0 } else { 11.0 }
}

/// Does something short all the time.
fn restless(now_s: f64) -> f64 {
    if now_s.rem_euclid(30.0) < 4.0 { 1.0 } else { 0.1 }
}

struct Case {
    name: &'static str,
    scene: Scene,
    cores: u32,
    memory_bytes: u64,
    neighbour: fn(f64) -> f64,
    /// How long it runs.
    hours: f64,
    /// The hours in which it has to be as good as the best: from, to.
    settled: &'static [(f64, f64)],
}

#[rustfmt::skip]
const CASES: [Case; 13] = [
    Case { name: "scales, 2 cores", scene: SCALES, cores: 2, memory_bytes: 16 * GIB, neighbour: nobody, hours: 2.0, settled: &[(1.0, 2.0)] },
    Case { name: "scales, 16 cores", scene: SCALES, cores: 16, memory_bytes: 64 * GIB, neighbour: nobody, hours: 2.0, settled: &[(1.0, 2.0)] },
    Case { name: "does not scale, 2 cores", scene: DOES_NOT_SCALE, cores: 2, memory_bytes: 16 * GIB, neighbour: nobody, hours: 2.0, settled: &[(1.0, 2.0)] },
    Case { name: "does not scale, 16 cores", scene: DOES_NOT_SCALE, cores: 16, memory_bytes: 64 * GIB, neighbour: nobody, hours: 2.0, settled: &[(1.0, 2.0)] },
    Case { name: "mixed, 2 cores", scene: MIXED, cores: 2, memory_bytes: 16 * GIB, neighbour: nobody, hours: 2.0, settled: &[(1.0, 2.0)] },
    Case { name: "mixed, 8 cores", scene: MIXED, cores: 8, memory_bytes: 64 * GIB, neighbour: nobody, hours: 2.0, settled: &[(1.0, 2.0)] },
    Case { name: "large, 8 cores", scene: LARGE, cores: 8, memory_bytes: 12 * GIB, neighbour: nobody, hours: 2.0, settled: &[(1.0, 2.0)] },
    Case { name: "larger than the machine", scene: LARGE, cores: 4, memory_bytes: 4 * GIB, neighbour: nobody, hours: 2.0, settled: &[(1.0, 2.0)] },
    Case { name: "waits, 4 cores", scene: WAITS, cores: 4, memory_bytes: 16 * GIB, neighbour: nobody, hours: 2.0, settled: &[(1.0, 2.0)] },
    Case { name: "heavy, 2 cores", scene: HEAVY, cores: 2, memory_bytes: 16 * GIB, neighbour: nobody, hours: 20.0, settled: &[(12.0, 20.0)] },
    Case { name: "a neighbour comes and goes, 2 cores", scene: DOES_NOT_SCALE, cores: 2, memory_bytes: 16 * GIB, neighbour: hourly, hours: 5.0,
        settled: &[(0.5, 1.0), (1.5, 2.0), (2.5, 3.0), (3.5, 4.0), (4.5, 5.0)] },
    Case { name: "a neighbour comes and goes, 16 cores", scene: MIXED, cores: 16, memory_bytes: 64 * GIB, neighbour: in_turns, hours: 6.0,
        settled: &[(1.0, 2.0), (3.0, 4.0), (5.0, 6.0)] },
    Case { name: "a restless neighbour", scene: DOES_NOT_SCALE, cores: 2, memory_bytes: 16 * GIB, neighbour: restless, hours: 2.0, settled: &[(1.0, 2.0)] },
];

const SEEDS: [u64; 2] = [1, 2];
/// Frames by which a fixed setting is judged.
const FRAMES: usize = 120;
/// So many changes it may take to settle: there are up to nine numbers of slots on the way, each is compared twice.
const WHILE_SETTLING: u32 = 50;
/// So many changes an hour are none too many later: what was not faster is tried again now and then.
const AN_HOUR: f64 = 14.0;
/// Memory that stays free.
const RESERVE_BYTES: u64 = GIB;

impl Case {
    fn limits(&self) -> Limits {
        let memory = MemoryLimits { max_bytes: None, reserve_bytes: RESERVE_BYTES, machine_bytes: u64::MAX };
        Limits { memory, ..Limits::of_machine(self.cores) }
    }

    fn machine(&self, seed: u64) -> Machine {
        Machine::new(self.scene, self.cores, self.memory_bytes, self.neighbour, seed)
    }

    /// The best rate that any setting comes to from this time on, and the setting.
    fn best(&self, from_s: f64) -> (f64, Setting) {
        let settings = self.all_settings().into_iter();
        let rates = settings.map(|setting| (self.machine(7).rate_of(setting, from_s, FRAMES), setting));
        rates.max_by(|one, other| one.0.total_cmp(&other.0)).unwrap()
    }

    /// Every setting that memory has room for.
    fn all_settings(&self) -> Vec<Setting> {
        let fit = ((self.memory_bytes - RESERVE_BYTES) / self.scene.session_bytes).max(1);
        let most = u32::try_from(fit).unwrap().min(2 * self.cores);
        (1..=most).flat_map(|slots| (1..=self.cores).map(move |threads| Setting { slots, threads })).collect()
    }
}

#[test]
fn the_governor_comes_to_the_best_setting_and_stays_there() {
    for case in CASES {
        let until_s = case.hours * HOUR_S;
        let best: Vec<_> = case.settled.iter().map(|(from, _)| case.best(from * HOUR_S)).collect();
        for seed in SEEDS {
            let governed = case.machine(seed).run_governed(&mut Governor::new(case.limits()), until_s);
            for ((from, to), (best, setting)) in case.settled.iter().zip(&best) {
                let reached = governed.rate(from * HOUR_S, to * HOUR_S) / best;
                println!("{}, seed {seed}, {from} h to {to} h: {reached:.3} of {setting}", case.name);
                assert!(
                    reached >= 0.9,
                    "{}, seed {seed}: {reached:.3} of {setting}: {:?}",
                    case.name,
                    governed.changes
                );
            }
            let (settling, later) = governed.changes_before_and_after(case.settled[0].0 * HOUR_S);
            println!("{}, seed {seed}: {settling} changes, then {later}", case.name);
            let hours = case.hours - case.settled[0].0;
            assert!(settling <= WHILE_SETTLING, "{}, seed {seed}: {:?}", case.name, governed.changes);
            assert!(later <= AN_HOUR * hours, "{}, seed {seed}: {:?}", case.name, governed.changes);
            let most_bytes = (case.memory_bytes - RESERVE_BYTES).max(case.scene.session_bytes);
            assert!(governed.peak_bytes <= most_bytes, "{}: {} bytes", case.name, governed.peak_bytes);
        }
    }
}
