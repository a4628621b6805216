//! Time and chance of this machine.
#![expect(clippy::disallowed_methods, reason = "clocks are read here and nowhere else")]

use std::time::{Duration, Instant};

use crate::{io::env::Env, model::time::Timestamp, port::Clock};

/// The system's clock. In debug builds `PLATFORMCTL_TEST_CLOCK` (seconds since 1970) sets where it begins, so that tests can
/// compare whole outputs; release builds ignore it.
#[derive(Debug)]
pub struct SystemClock {
    begun: Instant,
    test_start_s: Option<i64>,
}

impl SystemClock {
    /// Starts a clock.
    pub fn new(env: &Env) -> Self {
        let test = env.get("PLATFORMCTL_TEST_CLOCK").filter(|_| cfg!(debug_assertions));
        Self { begun: Instant::now(), test_start_s: test.and_then(|text| text.parse().ok()) }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let seconds = self.test_start_s.unwrap_or_else(|| chrono::Utc::now().timestamp());
        Timestamp::from_unix_s(seconds)
    }

    fn ticks_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn sleep_ms(&self, ms: u64) {
        std::thread::sleep(Duration::from_millis(ms));
    }

    fn chance(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        // Without random bytes the time still differs from one run to the next.
        if rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).is_err() {
            bytes = self.begun.elapsed().as_nanos().to_be_bytes();
        }
        bytes
    }
}
