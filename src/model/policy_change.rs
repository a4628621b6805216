//! What differs between two policies, for a person: each key with what it was and what it becomes.

use serde::Serialize;
use serde_json::Value;

use super::policy::Policy;

/// One difference of `platform.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PolicyChange {
    /// Where: `hosts.rs2000.destination`, `sacred.allow`. For an entry of a list it is the list.
    pub key: String,
    /// What was there, as JSON without quotes around a word; null where there was nothing.
    pub from: Option<String>,
    /// What is there then; null where nothing is.
    pub to: Option<String>,
}

/// Every difference between two policies, in the order of their keys.
pub fn changes(before: &Policy, after: &Policy) -> Vec<PolicyChange> {
    let mut found = Vec::new();
    let value = |policy: &Policy| serde_json::to_value(policy).unwrap_or_default();
    differences("", &value(before), &value(after), &mut found);
    found
}

fn differences(key: &str, before: &Value, after: &Value, found: &mut Vec<PolicyChange>) {
    let mut push = |from: Option<&Value>, to: Option<&Value>| {
        let text = |value: Option<&Value>| value.filter(|value| !value.is_null()).map(written);
        found.push(PolicyChange { key: key.to_owned(), from: text(from), to: text(to) });
    };
    match (before, after) {
        _ if before == after => {}
        (Value::Object(old), Value::Object(new)) => {
            let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let below = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                let null = Value::Null;
                differences(&below, old.get(name).unwrap_or(&null), new.get(name).unwrap_or(&null), found);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            let moved = old.iter().all(|one| new.contains(one)) && new.iter().all(|one| old.contains(one));
            if moved {
                return push(Some(before), Some(after));
            }
            old.iter().filter(|one| !new.contains(one)).for_each(|gone| push(Some(gone), None));
            new.iter().filter(|one| !old.contains(one)).for_each(|come| push(None, Some(come)));
        }
        _ => push(Some(before), Some(after)),
    }
}

fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        Policy::parse(format!("schema: platform/1\n{text}").as_bytes()).unwrap()
    }

    #[test]
    fn each_difference_names_its_key() {
        let host = |more: &str| format!("hosts:\n  box: {{transport: ssh, destination: a@box, root: /opt/p{more}}}\n");
        let before = policy(&host(""));
        let after = policy(&format!(
            "{}sacred:\n  allow:\n    - {{module: x, capability: gpus, reason: y}}\n",
            host(", mutations: enabled").replace("a@box", "b@box")
        ));
        let found: Vec<String> = changes(&before, &after)
            .into_iter()
            .map(|one| format!("{} {:?} {:?}", one.key, one.from.unwrap_or_default(), one.to.unwrap_or_default()))
            .collect();
        assert_eq!(found[0], r#"hosts.box.destination "a@box" "b@box""#);
        assert_eq!(found[1], r#"hosts.box.mutations "disabled" "enabled""#);
        assert!(found[2].starts_with("sacred.allow \"\" ") && found[2].contains("gpus"), "{found:?}");
        assert_eq!(found.len(), 3);
        assert_eq!(changes(&before, &before), []);
        let gone = changes(&after, &policy(""));
        assert!(gone.iter().any(|one| one.key == "hosts.box" && one.to.is_none()), "{gone:?}");
    }
}
