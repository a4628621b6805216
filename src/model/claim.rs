//! A plan file that is read back: a claim about what will happen, never a source of it.

use serde::Deserialize;
use serde_json::Value;

use super::{
    digest::Digest,
    json,
    plan::{self, Intention},
    refusal::{Code, Refusal},
    text::shown,
    time::Timestamp,
};

/// Most bytes of a plan file.
pub const FILE_BYTES_MAX: u64 = 8 << 20;

/// What a plan file promises, and may be held to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    intent: Intention,
    digest: Digest,
}

/// The file as it is written; what later versions add is passed over outside of `intent`.
#[derive(Deserialize)]
struct File {
    schema: String,
    status: String,
    intent: Option<Value>,
    digest: Option<Digest>,
    expires: Timestamp,
}

impl Claim {
    /// Reads a plan file.
    ///
    /// # Errors
    /// It is not one, was changed by hand, records a plan that may not be applied, or is too old.
    pub fn parse(bytes: &[u8], now: Timestamp) -> Result<Self, Refusal> {
        let again = "plan again: platformctl plan <module> -o FILE";
        let foreign = |fact: String| Refusal::new(Code::PlanForeign, fact, again);
        let file: File =
            serde_json::from_slice(bytes).map_err(|error| foreign(format!("this is no plan file: {error}")))?;
        if file.schema != plan::SCHEMA {
            let fact = format!("the plan file has the schema `{}`, not {}", shown(&file.schema), plan::SCHEMA);
            return Err(foreign(fact));
        }
        if file.status != "ok" {
            let fact = format!("the plan file records a plan that ended as `{}`", shown(&file.status));
            return Err(Refusal::new(Code::PlanErrored, fact, "resolve its refusals, then plan again"));
        }
        let edited = |fact: &str| Refusal::new(Code::PlanEdited, fact, again);
        let (Some(value), Some(digest)) = (file.intent, file.digest) else {
            return Err(edited("the plan file has no `intent` or no `digest`"));
        };
        if json::digest(&value).ok() != Some(digest) {
            return Err(edited("the plan file was changed: its digest does not match its intent"));
        }
        let intent: Intention = serde_json::from_value(value.clone())
            .map_err(|error| foreign(format!("the intent of the plan file cannot be read: {error}")))?;
        // A key that this version does not know would be promised and not kept.
        if json::digest(&intent).ok() != Some(digest) {
            return Err(foreign("the plan file contains an action that this version does not know".to_owned()));
        }
        if file.expires < now {
            let fact = format!("the plan file expired at {}", file.expires);
            return Err(Refusal::new(Code::PlanStale, fact, again));
        }
        Ok(Self { intent, digest })
    }

    /// What is promised.
    pub fn intent(&self) -> &Intention {
        &self.intent
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Why the plan that would be carried out now is not the one that was promised; with each difference.
    pub fn differs(&self, now: &Intention, digest: Digest) -> Option<Refusal> {
        if digest == self.digest {
            return None;
        }
        let value = |intent: &Intention| serde_json::to_value(intent).unwrap_or_default();
        let (Value::Object(then), Value::Object(now)) = (value(&self.intent), value(now)) else {
            return Some(Refusal::new(Code::PlanStale, "the plan file differs from the current plan", "plan again"));
        };
        let different = then.iter().filter(|(key, value)| now.get(*key) != Some(*value));
        let words: Vec<String> = different
            .map(|(key, value)| {
                let now = now.get(key).unwrap_or(&Value::Null);
                format!("{key}: planned {}, now {}", plain(value), plain(now))
            })
            .collect();
        Some(Refusal::new(
            Code::PlanStale,
            format!("the plan file differs from the current plan; {}", words.join("; ")),
            format!("review the difference and plan again: platformctl plan {} -o FILE", self.intent.module),
        ))
    }
}

/// A value for a person: no quotes, and of a list of changes what happens to what.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => shown(text),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => {
            let words = items.iter().map(|item| match (item["action"].as_str(), item["service"].as_str()) {
                (Some(action), Some(service)) => format!("{action} {service}"),
                (Some(_) | None, _) => plain(item),
            });
            shown(&words.collect::<Vec<_>>().join(", "))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => shown(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn intent() -> Value {
        let oid = "1".repeat(40);
        let digest = format!("sha256:{}", "2".repeat(64));
        json!({"module": "site", "host": "box", "pr": 1, "head": oid, "merge": oid, "policy": oid, "closure": digest,
               "effective": digest, "override": null, "model": null, "last_applied": null, "exceptions": [],
               "changes": [{"service": "index.html", "action": "create", "reasons": ["new"], "downtime": "none", "data": "none"}]})
    }

    fn file(intent: &Value, edit: impl Fn(&mut Value)) -> Result<Claim, &'static str> {
        let mut file = json!({"schema": plan::SCHEMA, "status": "ok", "intent": intent, "refusals": [], "observed": {},
            "digest": json::digest(intent).unwrap().to_string(), "created": "2026-01-01T00:00:00Z", "expires": "2026-01-02T00:00:00Z"});
        edit(&mut file);
        let now = "2026-01-01T12:00:00Z".parse().unwrap();
        Claim::parse(file.to_string().as_bytes(), now).map_err(|refusal| refusal.code.slug())
    }

    #[test]
    fn plan_file_must_match_its_digest() {
        assert!(file(&intent(), |_| {}).is_ok());
        assert_eq!(file(&intent(), |file| file["intent"]["pr"] = json!(2)), Err("plan_edited"));
        assert_eq!(file(&intent(), |file| file["intent"]["more"] = json!(2)), Err("plan_edited"));
        assert_eq!(file(&intent(), |file| file["digest"] = Value::Null), Err("plan_edited"));
        assert_eq!(file(&intent(), |file| file["status"] = json!("refused")), Err("plan_errored"));
        assert_eq!(file(&intent(), |file| file["schema"] = json!("x")), Err("plan_foreign"));
        assert_eq!(file(&intent(), |file| file["expires"] = json!("2026-01-01T00:00:00Z")), Err("plan_stale"));
        let mut more = intent();
        more["more"] = json!(1);
        assert_eq!(file(&more, |_| {}), Err("plan_foreign"), "a promise that is not understood");
        assert_eq!(Claim::parse(b"\xff", Timestamp::from_unix_s(0)).unwrap_err().code, Code::PlanForeign);
    }

    #[test]
    fn stale_plan_names_what_changed() {
        let claim = file(&intent(), |_| {}).unwrap();
        let mut now = claim.intent().clone();
        now.pr = Some(7);
        let refusal = claim.differs(&now, json::digest(&now).unwrap()).unwrap();
        assert!(refusal.fact.ends_with("pr: planned 1, now 7"), "{}", refusal.fact);
        assert_eq!(claim.differs(claim.intent(), claim.digest()), None);
    }
}
