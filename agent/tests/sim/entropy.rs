//! Randomness that can be had again. A seed decides everything that a run draws: the plan of faults by [`Dice`], and what
//! the libraries draw for themselves (the order of a `HashMap`, of tokio's `select!`) by standing in for the system's
//! `getrandom`, as madsim does. Only the simulation's own thread is given a stream; all others get what is different each time.

use std::cell::Cell;
use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

thread_local! {
    /// The state of this thread's stream; zero until it is given one.
    static STREAM: Cell<u64> = const { Cell::new(0) };
}

/// Gives this thread a stream of its own, before anything has drawn from it.
pub(crate) fn seed_this_thread(seed: u64) {
    STREAM.set(scrambled(seed) | 1);
}

/// What comes next in this thread's stream.
fn draw() -> u64 {
    static OTHERS: AtomicU64 = AtomicU64::new(0);
    thread_local!(static STARTED: Cell<Option<Instant>> = const { Cell::new(None) });
    if STREAM.get() == 0 {
        let count = OTHERS.fetch_add(1, Ordering::Relaxed);
        let started = STARTED.get().unwrap_or_else(Instant::now);
        STARTED.set(Some(started));
        let address = std::ptr::from_ref(&count).addr() as u64;
        let noise = u64::try_from(Instant::now().elapsed().as_nanos()).unwrap_or(0);
        return scrambled(count ^ address.rotate_left(32) ^ noise.rotate_left(17) ^ u64::from(std::process::id()));
    }
    STREAM.set(STREAM.get().wrapping_add(2));
    scrambled(STREAM.get())
}

/// What the runtime's next choices between what is ready would be. They depend on how many it has made, which is on each poll
/// of a `select!`: two runs that agree in this have not only looked the same.
pub(crate) async fn choices_to_come() -> u64 {
    let mut choices = 0;
    for _ in 0..u64::BITS {
        let choice = tokio::select! { choice = ready(0) => choice, choice = ready(1) => choice };
        choices = choices << 1 | choice;
    }
    choices
}

/// `SplitMix64`'s output function.
fn scrambled(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Stands in for the C library's function of this name in this program.
///
/// # Safety
///
/// `buffer` points to `length` bytes that may be written, as the C library's own function demands.
#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "the standard library takes its randomness from a C function, and so this has to be one"
)]
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    for index in 0..length {
        // SAFETY: by this function's contract there are `length` bytes at `buffer`.
        unsafe { buffer.add(index).write(draw().to_le_bytes()[0]) };
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}

/// Seeded dice.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice for what the numbers stand for: the same numbers, the same throws.
    pub(crate) fn of(numbers: &[u64]) -> Self {
        Self(numbers.iter().fold(0x6861_7977_6169_6e00, |state, number| scrambled(state ^ scrambled(*number))))
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scrambled(self.0)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.throw() % bound.max(1)
    }

    /// A number from `least` to `most`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// Whether something happens that does so `per_mille` times in a thousand.
    pub(crate) fn happens(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of some.
    pub(crate) fn one_of<'a, T>(&mut self, some: &'a [T]) -> &'a T {
        &some[usize::try_from(self.below(some.len() as u64)).unwrap_or(0)]
    }
}
