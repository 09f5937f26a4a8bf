//! How large a batch is carved off a job's pending frames for the agent that asks: large while there is much to do, one
//! frame at the tail, so that fast machines come back sooner and no slow one holds the end.

/// What the size of a batch depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Carve {
    /// R: frames of the job that wait for an agent.
    pub pending: u64,
    /// P: slots that could take them, those of the agent that asks included.
    pub eligible_slots: u64,
    /// w: the agent's speed on this job over the mean of all agents' on it; 1 when unknown.
    pub relative_speed: f64,
    /// The most frames in a batch that the job allows.
    pub batch_size: u32,
}

/// `clamp(ceil(w · R / 2P), 1, batchSize)`: half of what would be a fair share, so that there is always something left to
/// even out what the estimate got wrong (guided self-scheduling: Polychronopoulos and Kuck, 1987, with weights as in
/// Hummel et al., 1996).
#[must_use]
pub fn batch_frames(carve: Carve) -> u64 {
    let slots = carve.eligible_slots.max(1);
    #[expect(clippy::cast_precision_loss, reason = "frames and slots are far below 2^52")]
    let share = carve.relative_speed * carve.pending as f64 / (2.0 * slots as f64);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
    let frames = share.ceil() as u64;
    frames.clamp(1, u64::from(carve.batch_size.max(1)))
}

/// The speed of an agent over the mean of all agents' on a job, from the mean render time of a frame: `own` that of the
/// agent, `others` that of each agent that has rendered frames of the job, itself included. 1 when nothing is known.
#[must_use]
pub fn relative_speed(own_ms: Option<f64>, each_ms: &[f64]) -> f64 {
    let Some(own_ms) = own_ms.filter(|ms| *ms > 0.0) else { return 1.0 };
    let speeds: Vec<f64> = each_ms.iter().filter(|ms| **ms > 0.0).map(|ms| 1.0 / ms).collect();
    if speeds.is_empty() {
        return 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52 agents")]
    let mean = speeds.iter().sum::<f64>() / speeds.len() as f64;
    1.0 / own_ms / mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_shrink_to_one_frame_at_the_tail() {
        #[rustfmt::skip]
        let cases = [
            // R, P, w, batchSize -> frames
            (20, 2, 1.0, 5, 5),
            (15, 2, 1.0, 5, 4),
            (11, 2, 1.0, 5, 3),
            (4, 2, 1.0, 5, 1),
            (1, 2, 1.0, 5, 1),
            (1_000_000, 1, 1.0, 5, 5),
            (1_000_000, 1, 1.0, 1_000, 1_000),
            (20, 2, 0.2, 5, 1),
            (20, 2, 2.0, 50, 10),
            // Nobody is known to be eligible: the one who asks is.
            (10, 0, 1.0, 5, 5),
            // Nonsense stays within bounds.
            (10, 2, f64::NAN, 5, 1),
            (10, 2, f64::INFINITY, 5, 5),
            (10, 2, -1.0, 5, 1),
            (10, 2, 1.0, 0, 1),
        ];
        for (pending, eligible_slots, relative_speed, batch_size, frames) in cases {
            let carve = Carve { pending, eligible_slots, relative_speed, batch_size };
            assert_eq!(batch_frames(carve), frames, "{carve:?}");
        }
    }

    #[test]
    fn speed_is_relative_to_the_mean_of_the_agents() {
        #[rustfmt::skip]
        let cases: [(Option<f64>, &[f64], f64); 5] = [
            (None, &[], 1.0),
            (None, &[500.0], 1.0),
            (Some(500.0), &[500.0], 1.0),
            // 4 and 1 frames a second; the mean is 2.5.
            (Some(250.0), &[250.0, 1000.0], 1.6),
            (Some(1000.0), &[250.0, 1000.0], 0.4),
        ];
        for (own_ms, each_ms, speed) in cases {
            assert!((relative_speed(own_ms, each_ms) - speed).abs() < 1e-9, "{own_ms:?} among {each_ms:?}");
        }
    }
}
