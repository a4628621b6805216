//! Which remote and which base branch: the command line, else git's configuration, else what is usual.

/// What a command works with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The git remote.
    pub remote: String,
    /// The base branch.
    pub base: String,
}

impl Config {
    /// Chooses: `--remote`/`--base`, else git config `platformctl.remote`/`.base`, else `origin` and `main`.
    pub fn choose(remote: Option<&str>, base: Option<&str>, setting: impl Fn(&str) -> Option<String>) -> Self {
        let pick = |given: Option<&str>, name, usual: &str| {
            given.map(str::to_owned).or_else(|| setting(name)).unwrap_or_else(|| usual.to_owned())
        };
        Self { remote: pick(remote, "platformctl.remote", "origin"), base: pick(base, "platformctl.base", "main") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_overrides_git_config() {
        let set = |name: &str| (name == "platformctl.remote").then(|| "forge".to_owned());
        let config = Config::choose(None, Some("trunk"), set);
        assert_eq!((config.remote.as_str(), config.base.as_str()), ("forge", "trunk"));
        let config = Config::choose(Some("origin"), None, set);
        assert_eq!((config.remote.as_str(), config.base.as_str()), ("origin", "main"));
    }
}
