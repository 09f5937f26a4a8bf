//! Pieces of work and sets of them: one frame at one generation each. A frame that is rendered again is another piece.

use std::fmt;

/// Frames of the one job.
pub(crate) const FRAMES: u8 = 3;
/// Generations that a frame can have: one explicit re-render.
pub(crate) const GENERATIONS: u8 = 2;

/// One frame at one generation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Piece(u8);

impl Piece {
    pub(crate) const fn new(frame: u8, generation: u8) -> Self {
        Self(generation * FRAMES + frame)
    }

    /// Every piece that there can be.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..FRAMES * GENERATIONS).map(Self)
    }

    pub(crate) const fn frame(self) -> u8 {
        self.0 % FRAMES
    }

    /// Its place in a table of all pieces.
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    const fn bit(self) -> u8 {
        1 << self.0
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "f{}g{}", self.frame(), self.0 / FRAMES)
    }
}

/// A set of pieces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct PieceSet(u8);

impl PieceSet {
    pub(crate) const EMPTY: Self = Self(0);

    pub(crate) const fn only(piece: Piece) -> Self {
        Self(piece.bit())
    }

    pub(crate) const fn contains(self, piece: Piece) -> bool {
        self.0 & piece.bit() != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn insert(&mut self, piece: Piece) {
        self.0 |= piece.bit();
    }

    /// Whether it was there.
    pub(crate) const fn remove(&mut self, piece: Piece) -> bool {
        let was_there = self.contains(piece);
        self.0 &= !piece.bit();
        was_there
    }

    pub(crate) const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// In order of generation and frame.
    pub(crate) fn iter(self) -> impl Iterator<Item = Piece> {
        Piece::all().filter(move |piece| self.contains(*piece))
    }

    pub(crate) fn first(self) -> Option<Piece> {
        self.iter().next()
    }
}

impl fmt::Debug for PieceSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.iter()).finish()
    }
}
