//! Which of the files at hand is meant by a path that does not exist here: the one whose path ends like it the longest.
//! Never a guess between two.

use super::text;

/// What was found for a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TailMatch {
    /// This one alone has the longest common tail, of so many parts.
    One {
        /// Its place among the candidates.
        index: usize,
        /// How many parts of both paths are the same.
        parts: usize,
    },
    /// Several have it: nobody can say which.
    Several,
    /// Not even the name is there.
    None,
}

/// Finds the file that is meant by `wanted` among `candidates`, which have forward slashes. Capitals count, unless the path is
/// one of Windows or nothing is found with them.
pub(super) fn longest<'a, C>(wanted: &str, candidates: C) -> TailMatch
where
    C: IntoIterator<Item = &'a str> + Clone,
{
    if !text::is_of_windows(wanted) && !wanted.contains('\\') {
        let exact = longest_where(wanted, candidates.clone(), |one, other| one == other);
        if exact != TailMatch::None {
            return exact;
        }
    }
    longest_where(wanted, candidates, |one, other| one.to_lowercase() == other.to_lowercase())
}

fn longest_where<'a>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    same: impl Fn(&str, &str) -> bool,
) -> TailMatch {
    let wanted_parts = text::parts(wanted);
    let mut best = TailMatch::None;
    let mut most = 0;
    for (index, candidate) in candidates.into_iter().enumerate() {
        let tail = candidate.rsplit('/').zip(wanted_parts.iter().rev()).take_while(|(one, other)| same(one, other));
        let parts = tail.count();
        if parts > most {
            (best, most) = (TailMatch::One { index, parts }, parts);
        } else if parts == most && parts > 0 {
            best = TailMatch::Several;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_tail_wins_and_a_tie_wins_nothing() {
        let files = ["tex/wood/a.png", "tex/stone/a.png", "old/tex/stone/b.png", "tex/stone/b.png", "c.png"];
        for (wanted, expected) in [
            ("D:\\shots\\stone\\a.png", TailMatch::One { index: 1, parts: 2 }),
            ("D:\\shots\\Wood\\A.PNG", TailMatch::One { index: 0, parts: 2 }),
            ("/shots/Wood/A.PNG", TailMatch::One { index: 0, parts: 2 }),
            ("/shots/a.png", TailMatch::Several),
            ("/x/old/tex/stone/b.png", TailMatch::One { index: 2, parts: 4 }),
            ("/x/stone/b.png", TailMatch::Several),
            ("E:\\c.png", TailMatch::One { index: 4, parts: 1 }),
            ("/x/d.png", TailMatch::None),
        ] {
            assert_eq!(longest(wanted, files), expected, "{wanted}");
        }
    }
}
