//! Freezes: times in which nothing is applied, unless a person says so with a reason.

use serde::{Deserialize, Serialize};

use super::{
    ids::{HostName, ModuleId},
    time::Timestamp,
};

/// One entry of `freeze:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// When it begins, in UTC: 2026-12-20T00:00:00Z.
    pub from: Timestamp,
    /// When it is over.
    pub until: Timestamp,
    /// Why, for whoever is stopped by it.
    pub reason: String,
    /// If given, only these hosts are frozen.
    #[serde(default)]
    pub hosts: Vec<HostName>,
    /// If given, only these modules are frozen.
    #[serde(default)]
    pub modules: Vec<ModuleId>,
}

impl Freeze {
    /// Whether a run of the module on the host may not begin at `now`. The last second is free again.
    pub fn stops(&self, module: &ModuleId, host: &HostName, now: Timestamp) -> bool {
        self.from <= now
            && now < self.until
            && (self.hosts.is_empty() || self.hosts.contains(host))
            && (self.modules.is_empty() || self.modules.contains(module))
    }

    /// The freeze that stops a run at `now` and lasts longest.
    pub fn in_force<'a>(freezes: &'a [Self], module: &ModuleId, host: &HostName, now: Timestamp) -> Option<&'a Self> {
        freezes.iter().filter(|freeze| freeze.stops(module, host, now)).max_by_key(|freeze| freeze.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_has_a_beginning_an_end_and_a_scope() {
        let freeze = |hosts: &[&str], modules: &[&str]| Freeze {
            from: Timestamp::from_unix_s(100),
            until: Timestamp::from_unix_s(200),
            reason: "x".to_owned(),
            hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
            modules: modules.iter().map(|module| module.parse().unwrap()).collect(),
        };
        let (site, host) = ("site".parse().unwrap(), "box".parse().unwrap());
        let stops = |freeze: &Freeze, s: i64| freeze.stops(&site, &host, Timestamp::from_unix_s(s));
        let all = freeze(&[], &[]);
        assert_eq!([99, 100, 199, 200].map(|s| stops(&all, s)), [false, true, true, false]);
        for (hosts, modules, stopped) in [
            (&["box"][..], &[][..], true),
            (&["other"], &[], false),
            (&[], &["site"], true),
            (&[], &["other"], false),
            (&["box"], &["other"], false),
        ] {
            assert_eq!(stops(&freeze(hosts, modules), 150), stopped, "{hosts:?} {modules:?}");
        }
        let longer = Freeze { until: Timestamp::from_unix_s(300), ..all.clone() };
        let both = [all, longer.clone()];
        assert_eq!(Freeze::in_force(&both, &site, &host, Timestamp::from_unix_s(150)), Some(&longer));
        assert_eq!(Freeze::in_force(&both, &site, &host, Timestamp::from_unix_s(300)), None);
    }
}
