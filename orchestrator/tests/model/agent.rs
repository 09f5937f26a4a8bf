//! What an agent does by itself: what it makes of each answer, and what it renders next. It knows only its own state; where
//! it drops work, it says which, so that the model can judge whether that work was lost.

use crate::mutants::Mutant;
use crate::network::{Beat, Fate, Grant, Named, Report, Said, Verdict};
use crate::pieces::{Piece, PieceSet};
use crate::state::{Agent, Held, LeaseIndex, Registration, TTL};

/// A frame that is started, and the lease that it is started under.
pub(crate) type Started = (LeaseIndex, Piece);

impl Agent {
    /// Whether its slot asks for a lease.
    pub(crate) fn asks(&self) -> bool {
        self.registration == Registration::Registered
            && self.grant.is_none()
            && self.book.iter().all(|held| held.is_over())
    }

    pub(crate) fn in_work(&self) -> Option<Started> {
        self.book.iter().find_map(|held| held.in_work.map(|piece| (held.lease, piece)))
    }

    /// Whether there is something of this lease that it still wants to render.
    pub(crate) fn holds(&self, lease: LeaseIndex) -> bool {
        self.book.iter().any(|held| held.lease == lease && !held.is_over())
    }

    pub(crate) fn says(&self) -> Said {
        let name = |held: &Held| Named { lease: held.lease, in_work: held.in_work };
        Said { named: self.book.iter().map(name).collect(), unaware_of: Vec::new() }
    }

    /// The slot goes on: it starts the next frame of its batch, or is done with it. A slot never waits without a reason, so
    /// this follows at once on whatever gave it the occasion.
    pub(crate) fn go_on(&mut self, mutant: Mutant) -> Option<Started> {
        let mut started = None;
        for held in &mut self.book {
            let may_start = held.left > 0 || mutant == Mutant::StartAfterOwnExpiry;
            if let Some(next) = held.to_do.first().filter(|_| held.in_work.is_none() && may_start) {
                held.to_do.remove(next);
                held.in_work = Some(next);
                started = Some((held.lease, next));
            }
            if held.is_over() {
                held.left = 0;
                let done = Report::Complete(held.lease);
                if !self.outbox.contains(&done) {
                    self.outbox.push(done);
                }
            }
        }
        started
    }

    pub(crate) fn receive_grant(&mut self, mutant: Mutant) -> Option<LeaseIndex> {
        let Grant { lease, pieces, age } = self.grant.take()?;
        let left = if mutant == Mutant::TermFromReceipt { TTL } else { TTL - age };
        self.book.push(Held { lease, left, to_do: pieces, in_work: None });
        Some(lease)
    }

    /// The frame in work ends, and this is what there is to tell of it.
    pub(crate) fn put_down(&mut self, tell: fn(LeaseIndex, Piece) -> Report) {
        if let Some(held) = self.book.iter_mut().find(|held| held.in_work.is_some()) {
            self.outbox.extend(held.in_work.take().map(|piece| tell(held.lease, piece)));
        }
    }

    /// The frames that it has not started go back.
    pub(crate) fn give_back(&mut self) {
        if let Some(held) = self.book.iter_mut().find(|held| !held.to_do.is_empty()) {
            self.outbox.push(Report::Release(held.lease, std::mem::take(&mut held.to_do)));
        }
    }

    /// The answer to a heartbeat. Returns the frames in work that it put down because of it.
    pub(crate) fn receive_verdicts(&mut self, mutant: Mutant) -> Vec<Piece> {
        let Some(Beat::Answered { verdicts, age }) = self.beat.take() else { return Vec::new() };
        let left = if mutant == Mutant::TermFromReceipt { TTL } else { TTL - age };
        verdicts.into_iter().filter_map(|verdict| self.receive_verdict(verdict, left, mutant)).collect()
    }

    fn receive_verdict(&mut self, Verdict { lease, fate }: Verdict, left: u8, mutant: Mutant) -> Option<Piece> {
        let place = self.book.iter().position(|held| held.lease == lease)?;
        let held = &mut self.book[place];
        let in_work = held.in_work;
        match fate {
            Fate::Renewed(pieces) => {
                held.to_do = held.to_do.intersection(pieces);
                held.in_work = in_work.filter(|piece| pieces.contains(*piece));
                held.left = held.left.max(left);
                return in_work.filter(|_| held.in_work.is_none());
            }
            Fate::Readopted(under, piece) if in_work == Some(piece) => {
                *held = Held { lease: under, left, to_do: PieceSet::EMPTY, in_work };
                return None;
            }
            Fate::Revoked if mutant == Mutant::RevokedKept => {}
            Fate::Readopted(..) | Fate::Revoked => held.to_do = PieceSet::EMPTY,
            Fate::JobGone => *held = Held { to_do: PieceSet::EMPTY, in_work: None, ..*held },
        }
        if held.is_over() {
            // There is nothing to complete.
            self.book.remove(place);
            self.outbox.retain(|report| *report != Report::Complete(lease));
            return in_work;
        }
        None
    }

    /// The process dies. What is on its disk stays.
    pub(crate) fn die(&mut self, mutant: Mutant) -> Vec<Piece> {
        let outbox = std::mem::take(&mut self.outbox);
        *self = Self { registration: Registration::Unknown, ..Self::default() };
        let (frames, _) = outbox.into_iter().partition::<Vec<_>, _>(|report| matches!(report, Report::Frame(..)));
        if mutant != Mutant::OutboxLostInCrash {
            self.outbox = frames;
            return Vec::new();
        }
        let piece = |report| if let Report::Frame(_, piece) = report { Some(piece) } else { None };
        frames.into_iter().filter_map(piece).collect()
    }
}
