//! Show: one module, run or record in full. Reads git alone.

use serde::Serialize;

use crate::{
    flow::{Stage, refuse},
    ledger::{event::Event, state::State},
    model::{
        ids::{ModuleId, Oid, RunId},
        refusal::Code,
        status::ModuleStatus,
        text::shown,
    },
    port::Ports,
    verb::history::{absent, local},
};

/// Records in full.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InFull {
    /// The records, the oldest first.
    pub records: Vec<Entry>,
    /// The module's entry in the record, if one was asked for.
    #[cfg_attr(test, schemars(with = "serde_json::Map<String, serde_json::Value>"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ModuleStatus>,
}

/// One record.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Entry {
    /// Its commit.
    pub commit: Oid,
    /// Its event, as recorded.
    #[cfg_attr(test, schemars(with = "serde_json::Map<String, serde_json::Value>"))]
    pub event: Event,
}

/// What is asked for.
enum What {
    Newest,
    Seq(u64),
    Record(Oid),
    Run(RunId),
    Module(ModuleId),
}

/// Reads what was asked for. A seq and a full id look like module ids too; they mean what they look like.
fn what(text: Option<&str>) -> Stage<What> {
    let Some(text) = text else { return Ok(What::Newest) };
    if let Ok(seq) = text.parse() {
        return Ok(What::Seq(seq));
    }
    if let Ok(id) = text.parse() {
        return Ok(What::Record(id));
    }
    if let Ok(run) = text.parse() {
        return Ok(What::Run(run));
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(module) if !digits => Ok(What::Module(module)),
        Ok(_) | Err(_) => refuse(
            Code::Usage,
            format!("`{}` is no module, run, seq or full id", shown(text)),
            "platformctl log shows what there is",
        ),
    }
}

/// The records of a module, run, seq or full id; of nothing: the newest record.
///
/// # Errors
/// There is no record, or it has nothing of that name.
pub fn show(ports: &Ports<'_>, text: Option<&str>) -> Stage<InFull> {
    let state = local(ports)?;
    let mut status = None;
    let missing = |code, fact: String| refuse(code, fact, "platformctl log");
    let records = match what(text)? {
        What::Newest => vec![Entry { commit: state.tip(), event: state.event()? }],
        What::Seq(seq) => match walk(ports, state.tip(), |event| event.seq == seq, 1)? {
            found if found.is_empty() => return missing(Code::Usage, format!("the record has no seq {seq}")),
            found => found,
        },
        What::Record(id) => {
            if !ports.source.has(id)? || !ports.source.is_ancestor(id, state.tip())? {
                return missing(Code::Usage, format!("{id} is not in the record"));
            }
            vec![Entry { commit: id, event: State::at(ports.source, id)?.event()? }]
        }
        What::Run(run) => match walk(ports, state.tip(), |event| event.run.as_ref() == Some(&run), 2)? {
            found if found.is_empty() => return missing(Code::UnknownRun, format!("the record has no run {run}")),
            found => found.into_iter().rev().collect(),
        },
        What::Module(module) => {
            let Some(found) = state.module(&module)? else { return Err(absent(ports, &state, &module)) };
            let newest = found.last().map(|last| last.seq);
            status = Some(found);
            walk(ports, state.tip(), |event| Some(event.seq) == newest, 1)?
        }
    };
    Ok(InFull { records, status })
}

/// Up to `count` records that fit, the newest first.
fn walk(ports: &Ports<'_>, tip: Oid, fits: impl Fn(&Event) -> bool, count: usize) -> Stage<Vec<Entry>> {
    let mut found = Vec::new();
    let mut next = Some(tip);
    while let Some(commit) = next.filter(|_| found.len() < count) {
        let event = State::at(ports.source, commit)?.event()?;
        next = ports.source.commit(commit)?.parents.first().copied();
        if fits(&event) {
            found.push(Entry { commit, event });
        }
    }
    Ok(found)
}
