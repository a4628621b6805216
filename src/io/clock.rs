//! Time and chance of this machine.
#![expect(clippy::disallowed_methods, reason = "clocks are read here and nowhere else")]

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use crate::{io::env::Env, model::time::Timestamp, port::Clock};

/// The system's clock. In debug builds `PLATFORMCTL_TEST_CLOCK` (seconds since 1970) sets where it begins, so that
/// tests can compare whole outputs, and makes chance as fixed as the time; release builds ignore it.
#[derive(Debug)]
pub struct SystemClock {
    begun: Instant,
    test_start_s: Option<i64>,
    asked: Cell<u64>,
}

impl SystemClock {
    /// Starts a clock.
    pub fn new(env: &Env) -> Self {
        let test = env.get("PLATFORMCTL_TEST_CLOCK").filter(|_| cfg!(debug_assertions));
        Self { begun: Instant::now(), test_start_s: test.and_then(|text| text.parse().ok()), asked: Cell::new(0) }
    }
}

/// Waits, where a port itself has to.
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let seconds = self.test_start_s.unwrap_or_else(|| chrono::Utc::now().timestamp());
        Timestamp::from_unix_s(seconds)
    }

    fn heard(&self, unix_s: i64) -> Timestamp {
        // If a test moved this clock, every other clock moved with it.
        let moved_s = self.test_start_s.map_or(0, |start| start.saturating_sub(chrono::Utc::now().timestamp()));
        Timestamp::from_unix_s(unix_s.saturating_add(moved_s))
    }

    fn ticks_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn sleep_ms(&self, ms: u64) {
        std::thread::sleep(Duration::from_millis(ms));
    }

    fn interrupted(&self) -> bool {
        crate::io::git::interrupt::asked()
    }

    fn chance(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        if let Some(seconds) = self.test_start_s {
            // As fixed as the time: what is asked first in a process is always the same.
            self.asked.set(self.asked.get() + 1);
            bytes[..8].copy_from_slice(&seconds.to_be_bytes());
            bytes[8..].copy_from_slice(&self.asked.get().to_be_bytes());
            bytes.rotate_right(4);
            return bytes;
        }
        // Without random bytes the time still differs from one run to the next.
        if rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).is_err() {
            bytes = self.begun.elapsed().as_nanos().to_be_bytes();
        }
        bytes
    }
}
