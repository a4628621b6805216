//! The repository's description of what runs: policy, modules and closures, read from one tree.

use crate::{
    model::{
        ids::ModuleId,
        module::{ApplyMode, Driver, Manifest},
        near::did_you_mean,
        policy::{self, Policy},
        problem::Problem,
        refusal::{Code, Refusal},
        text,
    },
    port::{Answer, Mode},
    tree::{
        closure::{self, Builder},
        module::{Counted, Found, Invalid, Module, PolicyAt},
        place::{fixed, manifest_path, problem},
        snapshot::Snapshot,
    },
};

/// Reads the policy.
///
/// # Errors
/// Objects that cannot be read.
pub fn policy(snapshot: &Snapshot<'_>) -> Answer<Found<PolicyAt>> {
    let path = fixed(policy::PATH)?;
    let Some((entry, bytes)) = snapshot.text(&path)? else {
        return Ok(Err(vec![problem(
            policy::PATH,
            (0, 0),
            Code::PolicyInvalid,
            "platform.yaml does not exist",
            "platformctl init writes one",
        )]));
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Err(vec![Problem::unreadable(policy::PATH, Code::PolicyInvalid, &error)])),
    };
    let signers = snapshot.entry(&fixed(policy::SIGNERS_PATH)?)?;
    Ok(Policy::parse(&bytes).map(|policy| PolicyAt {
        policy,
        blob: entry.id,
        signers: signers.filter(|entry| matches!(entry.mode, Mode::File | Mode::Executable)).map(|entry| entry.id),
    }))
}

/// The modules of a tree: folders below `modules/` with a `module.yaml`. Folders whose name is not an id are problems.
///
/// # Errors
/// Objects that cannot be read.
pub fn module_ids(snapshot: &Snapshot<'_>) -> Answer<(Vec<ModuleId>, Vec<Problem>)> {
    let (mut ids, mut problems) = (Vec::new(), Vec::new());
    for (name, entry) in snapshot.source.names(snapshot.tree, Some(&fixed("modules")?))? {
        let shown = format!("modules/{}", text::escaped_bytes(&name));
        let id = std::str::from_utf8(&name).ok().and_then(|name| name.parse::<ModuleId>().ok());
        match id {
            _ if entry.mode != Mode::Tree => {}
            Some(id) => {
                if snapshot.entry(&manifest_path(&id)?)?.is_some() {
                    ids.push(id);
                } else {
                    problems.push(problem(
                        &shown,
                        (0, 0),
                        Code::ManifestInvalid,
                        "the folder has no module.yaml",
                        "add one, or move the folder out of modules/",
                    ));
                }
            }
            None => problems.push(problem(
                &shown,
                (0, 0),
                Code::ManifestInvalid,
                "the folder name is not a valid module id",
                "use lower-case letters, digits and -",
            )),
        }
    }
    Ok((ids, problems))
}

/// The refusal of a module that a tree does not have. `fix` comes after the name that was probably meant.
///
/// # Errors
/// Objects that cannot be read.
pub fn unknown(snapshot: &Snapshot<'_>, id: &ModuleId, fact: String, fix: &str) -> Answer<Refusal> {
    let (ids, _) = module_ids(snapshot)?;
    Ok(Refusal::new(Code::UnknownModule, fact, did_you_mean(id.as_str(), ids.iter().map(ModuleId::as_str), fix)))
}

/// Reads a module's manifest; `None` where there is no such module.
///
/// # Errors
/// Objects that cannot be read.
pub fn manifest(snapshot: &Snapshot<'_>, id: &ModuleId) -> Answer<Option<Found<Manifest>>> {
    let path = manifest_path(id)?;
    let Some((_, bytes)) = snapshot.text(&path)? else {
        return Ok(None);
    };
    let unreadable = |error| vec![Problem::unreadable(path.as_str(), Code::ManifestInvalid, &error)];
    Ok(Some(bytes.map_err(unreadable).and_then(|bytes| Manifest::parse(path.as_str(), id, &bytes))))
}

/// Reads a module and gathers its closure; `None` where there is no such module.
///
/// # Errors
/// Objects that cannot be read.
pub fn module(snapshot: &Snapshot<'_>, id: &ModuleId) -> Answer<Option<Found<Module>>> {
    Ok(gathered(snapshot, id)?.map(|found| found.map_err(|invalid| invalid.problems)))
}

/// By what a module counts; `None` where there is no such module.
///
/// # Errors
/// Objects that cannot be read.
pub fn counted(snapshot: &Snapshot<'_>, id: &ModuleId) -> Answer<Option<Counted>> {
    Ok(match gathered(snapshot, id)? {
        None => None,
        Some(Err(invalid)) => Some(invalid.counted),
        Some(Ok(module)) => {
            let effective = module.closure.effective;
            // That a runner may apply it is accepted by review as well.
            let taken = match module.manifest.apply {
                ApplyMode::Manual => closure::digest(&module.manifest.acknowledge)?,
                mode @ ApplyMode::OnMerge => closure::digest(&(&module.manifest.acknowledge, mode))?,
            };
            let hosts = Some(module.manifest.hosts().to_vec());
            Some(Counted { hosts, effective, near: effective, taken })
        }
    })
}

fn gathered(snapshot: &Snapshot<'_>, id: &ModuleId) -> Answer<Option<Result<Module, Invalid>>> {
    let mut builder = Builder::new(snapshot, manifest_path(id)?);
    let manifest = match manifest(snapshot, id)? {
        None => return Ok(None),
        Some(Err(problems)) => return Ok(Some(Err(builder.unreadable(problems)?))),
        Some(Ok(manifest)) => manifest,
    };
    match manifest.runtime.driver {
        Driver::Files => builder.folder(&manifest)?,
        Driver::Compose => builder.compose(&manifest)?,
    }
    for (at, path) in manifest.inputs.iter().enumerate() {
        builder.own(path.clone(), &["inputs", &at.to_string()])?;
    }
    Ok(Some(builder.finish(manifest)?))
}
