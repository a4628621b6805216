//! Where the time of a command went: as a table, and as a field of the object.

use std::collections::BTreeMap;

use crate::port::Phase;

/// Milliseconds by the name of the phase.
pub(super) fn durations_ms(spent: &[(Phase, u64)]) -> BTreeMap<&'static str, u64> {
    spent.iter().map(|(phase, ms)| (phase.as_str(), *ms)).collect()
}

/// A heading, a line for each phase (seconds, share), and their sum.
pub(super) fn timings(durations_ms: &[(Phase, u64)]) -> Vec<String> {
    let sum: u64 = durations_ms.iter().map(|(_, ms)| ms).sum();
    let row = |name: &str, ms: u64| {
        let share = (u128::from(ms) * 100 + u128::from(sum) / 2).checked_div(u128::from(sum)).unwrap_or(0);
        format!("  {name:<9} {:>6}.{:03} s  {share:>3} %", ms / 1_000, ms % 1_000)
    };
    let rows = durations_ms.iter().map(|(name, ms)| row(name.as_str(), *ms));
    ["where the time went".to_owned()].into_iter().chain(rows).chain([row("total", sum)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timings_are_printed_as_a_table() {
        let lines = timings(&[(Phase::Fetch, 1_204), (Phase::Observe, 50), (Phase::Verify, 30_000)]);
        let expected = [
            "where the time went",
            "  fetch          1.204 s    4 %",
            "  observe        0.050 s    0 %",
            "  verify        30.000 s   96 %",
            "  total         31.254 s  100 %",
        ];
        assert_eq!(lines, expected);
        assert_eq!(timings(&[])[1], "  total          0.000 s    0 %");
    }
}
