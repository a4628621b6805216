//! Where the time of a command goes: what each phase of it took, by the clock port.

use std::cell::RefCell;

use crate::port::{Clock, Phase, Ports, Step};

/// A stopwatch that is notified when each phase begins.
pub struct Timings<'a> {
    clock: &'a dyn Clock,
    running: RefCell<(Option<Phase>, u64)>,
    /// Milliseconds by phase, in the order in which the phases began first.
    spent_ms: RefCell<Vec<(Phase, u64)>>,
}

impl<'a> Timings<'a> {
    /// Starts to measure.
    pub fn new(clock: &'a dyn Clock) -> Self {
        Self { clock, running: RefCell::new((None, clock.ticks_ms())), spent_ms: RefCell::default() }
    }

    /// A phase begins, and the one before it ends. A phase that begins again adds to what it took before.
    pub fn began(&self, phase: Phase) {
        self.ended();
        self.running.replace((Some(phase), self.clock.ticks_ms()));
        let mut spent_ms = self.spent_ms.borrow_mut();
        if !spent_ms.iter().any(|(known, _)| *known == phase) {
            spent_ms.push((phase, 0));
        }
    }

    /// The same ports, which tell this stopwatch too when a phase begins.
    pub fn measured<'p, T>(&'p self, ports: &Ports<'p>, act: impl FnOnce(&Ports<'_>) -> T) -> T {
        let tell = |step: Step| {
            if let Step::Began(phase) = &step {
                self.began(*phase);
            }
            (ports.tell)(step);
        };
        act(&Ports { tell: &tell, ..*ports })
    }

    fn ended(&self) {
        let now = self.clock.ticks_ms();
        let (phase, since) = self.running.replace((None, now));
        let mut spent_ms = self.spent_ms.borrow_mut();
        if let Some((_, ms)) = spent_ms.iter_mut().find(|(known, _)| Some(*known) == phase) {
            *ms += now.saturating_sub(since);
        }
    }

    /// Ends the running phase and returns milliseconds by phase. What follows is measured from zero, as for the next
    /// module.
    pub fn take(&self) -> Vec<(Phase, u64)> {
        self.ended();
        self.spent_ms.take()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::model::time::Timestamp;

    struct Ticks(Cell<u64>);

    impl Clock for Ticks {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_s(0)
        }
        fn heard(&self, unix_s: i64) -> Timestamp {
            Timestamp::from_unix_s(unix_s)
        }
        fn ticks_ms(&self) -> u64 {
            self.0.get()
        }
        fn sleep_ms(&self, ms: u64) {
            self.0.set(self.0.get() + ms);
        }
        fn interrupted(&self) -> bool {
            false
        }
        fn chance(&self) -> [u8; 16] {
            [0; 16]
        }
    }

    #[test]
    fn phases_are_timed_separately() {
        let clock = Ticks(Cell::new(1_000));
        let timings = Timings::new(&clock);
        clock.sleep_ms(5);
        for (phase, ms) in [(Phase::Fetch, 10), (Phase::Plan, 20), (Phase::Fetch, 1), (Phase::Gate, 0)] {
            timings.began(phase);
            clock.sleep_ms(ms);
        }
        assert_eq!(timings.take(), [(Phase::Fetch, 11), (Phase::Plan, 20), (Phase::Gate, 0)]);
        clock.sleep_ms(7);
        timings.began(Phase::Open);
        clock.sleep_ms(3);
        assert_eq!(timings.take(), [(Phase::Open, 3)], "what a module took is not the next one's");
    }
}
