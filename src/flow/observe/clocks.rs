//! Our clock and a host's, as one answer showed them.

use crate::{
    model::time::Timestamp,
    port::{Answer, Clock},
    runtime::machine::Machine,
};

/// Ours and a host's clock, as one answer showed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Ours, when the answer was there.
    pub ours: Timestamp,
    /// The host's, somewhere between question and answer.
    pub theirs: Timestamp,
    /// How many seconds the host's is ahead, as far as that does not come from the time that the answer took.
    pub apart_s: i64,
}

impl Clocks {
    /// Asks, and notes how long it took.
    ///
    /// # Errors
    /// As the question.
    pub fn around<T>(clock: &dyn Clock, ask: impl FnOnce() -> Answer<T>) -> Answer<(T, Asked)> {
        let begun = clock.ticks_ms();
        let answer = ask()?;
        let took_ms = clock.ticks_ms().saturating_sub(begun);
        let took_s = i64::try_from(took_ms.div_ceil(1000)).unwrap_or(i64::MAX);
        Ok((answer, Asked { ours: clock.now(), took_s }))
    }
}

/// When an answer was there, and how long it took.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    ours: Timestamp,
    took_s: i64,
}

impl Asked {
    /// Compares with what the host's clock said in that answer.
    pub fn compared(self, clock: &dyn Clock, machine: &Machine) -> Clocks {
        let theirs = clock.heard(machine.now_s);
        // Whole seconds: each of the two may have just begun its own.
        let earliest = self.ours.plus_s(self.took_s.saturating_add(1).saturating_neg());
        let nearest = theirs.clamp(earliest, self.ours.plus_s(1));
        Clocks { ours: self.ours, theirs, apart_s: theirs.unix_s() - nearest.unix_s() }
    }
}
