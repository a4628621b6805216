//! The name that was probably meant.

/// The name that is nearest to `given`, if one is near: up to a third of its letters are missing, added, changed or
/// swapped.
pub fn nearest(given: &str, names: impl IntoIterator<Item = impl AsRef<str>>) -> Option<String> {
    let near = (given.chars().count() / 3).max(1);
    let distances = names.into_iter().map(|name| (distance(given, name.as_ref()), name.as_ref().to_owned()));
    distances.filter(|(distance, _)| (1..=near).contains(distance)).min().map(|(_, name)| name)
}

/// `fix`, after the question whether the nearest of `names` was meant.
pub fn did_you_mean(given: &str, names: impl IntoIterator<Item = impl AsRef<str>>, fix: &str) -> String {
    match nearest(given, names) {
        Some(name) => format!("did you mean `{name}`? {fix}"),
        None => fix.to_owned(),
    }
}

/// How many letters must be added, removed, changed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let swapped =
                (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]).then(|| rows[i - 2][j - 2] + 1);
            let least = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            row.push(swapped.map_or(least, |swapped| swapped.min(least)));
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_similar_names_are_suggested() {
        let names = ["edge-site", "honcho-redis", "web"];
        let of = |given: &str| nearest(given, names);
        assert_eq!(of("edge-stie").as_deref(), Some("edge-site"));
        assert_eq!(of("honchoredis").as_deref(), Some("honcho-redis"));
        assert_eq!(of("wbe").as_deref(), Some("web"));
        assert_eq!(of("grafana"), None);
        assert_eq!(of("web"), None, "the name itself is not what was missed");
        assert_eq!(did_you_mean("x", names, "look"), "look");
        assert_eq!(did_you_mean("wep", names, "look"), "did you mean `web`? look");
        assert_eq!(distance("", "abc"), 3);
    }
}
