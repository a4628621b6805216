//! The checkout, compared with M. It is never read for content: content comes from objects. What is compared is what a
//! person or a runner looks at.

use std::collections::BTreeSet;

use crate::{
    flow::{approve::Approved, bind::Bind},
    model::{
        closure::FileMode,
        gate::Binding,
        ids::Oid,
        path::RepoPath,
        policy::CheckoutPolicy,
        refusal::{Code, Refusal},
        text,
    },
    port::{Answer, Checkout, Entry, Mode, OnDisk},
    tree::module::Module,
};

/// How many paths a refusal names.
const NAMED: usize = 10;

fn names(paths: &[String]) -> String {
    let more = paths.len().saturating_sub(NAMED);
    let mut text = paths.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 {
        text += &format!(" and {more} more");
    }
    text
}

/// Binds the checkout: it has the files of M, or with `--auto` it is a clean checkout of the base that may be older.
pub(super) fn bound(ask: &Bind<'_>, approved: &Approved, module: &Module) -> Answer<(Binding, Vec<Refusal>)> {
    let Some(head) = ask.checkout.head()? else { return Ok((Binding::None, Vec::new())) };
    let refusals = compared(ask, approved, module, head)?;
    if !ask.waivers.transport || refusals.is_empty() {
        return Ok((Binding::Bound, refusals));
    }
    // A policy that asks for H or M itself asks a runner too.
    if ask.policy.policy.approval.checkout == CheckoutPolicy::Strict {
        return Ok((Binding::Base, refusals));
    }
    Ok((Binding::Base, of_base(ask, module, head)?))
}

/// Compares HEAD and the files on disk with M, for every path of the closure. The index is not asked.
fn compared(ask: &Bind<'_>, approved: &Approved, module: &Module, head: Oid) -> Answer<Vec<Refusal>> {
    let source = ask.candidates.source;
    let relation = approved.relation();
    let head_tree = source.commit(head)?.tree;
    let (mut differs, mut dirty) = (Vec::new(), Vec::new());
    for file in &module.closure.files {
        let mode = if file.mode == FileMode::Executable { Mode::Executable } else { Mode::File };
        let wanted = Entry { mode, id: file.blob };
        if source.entry(head_tree, &file.path)? != Some(wanted) {
            differs.push(file.path.to_string());
        } else if ask.checkout.on_disk(&file.path)? != OnDisk::File(wanted) {
            dirty.push(file.path.to_string());
        }
    }
    dirty.extend(untracked(ask.checkout, module)?);
    let mut refusals = Vec::new();
    if ask.policy.policy.approval.checkout == CheckoutPolicy::Strict && head != relation.head && head != relation.merge
    {
        refusals.push(Refusal::new(
            Code::CheckoutDiffers,
            format!("HEAD is {head}; approval.checkout is strict"),
            format!("git checkout {}", relation.merge),
        ));
    }
    if !differs.is_empty() {
        refusals.push(Refusal::new(
            Code::CheckoutDiffers,
            format!("the checked-out files differ from what was merged: {}", names(&differs)),
            format!("git checkout {}; or say --no-checkout-binding", relation.merge),
        ));
    }
    if !dirty.is_empty() {
        refusals.push(Refusal::new(
            Code::CheckoutDirty,
            format!("files on disk differ from what was merged: {}", names(&dirty)),
            "git status; commit them on a branch or put them away; or say --no-checkout-binding",
        ));
    }
    Ok(refusals)
}

/// Files on disk under the delivered folder that M does not have.
fn untracked(checkout: &dyn Checkout, module: &Module) -> Answer<Vec<String>> {
    let Some(folder) = &module.manifest.runtime.tree else {
        return Ok(Vec::new());
    };
    let known: BTreeSet<&RepoPath> = module.closure.files.iter().map(|file| &file.path).collect();
    let is_known = |raw: &[u8]| {
        let path = std::str::from_utf8(raw).ok().and_then(|raw| raw.parse::<RepoPath>().ok());
        path.is_some_and(|path| known.contains(&path))
    };
    let found = checkout.files_below(folder)?;
    Ok(found.iter().filter(|raw| !is_known(raw)).map(|raw| text::escaped_bytes(raw)).collect())
}

/// A runner's checkout that does not have the files of M: HEAD must be a commit of the base, and the module's files on
/// disk must be those of HEAD.
fn of_base(ask: &Bind<'_>, module: &Module, head: Oid) -> Answer<Vec<Refusal>> {
    let source = ask.candidates.source;
    let base = ask.candidates.base;
    let mut refusals = Vec::new();
    if head != base && !source.is_ancestor(head, base)? {
        refusals.push(Refusal::new(
            Code::CheckoutDiffers,
            format!("HEAD is {head}, which is no commit of the base ({base})"),
            "let the workflow check out the base branch: ref: main",
        ));
    }
    let head_tree = source.commit(head)?.tree;
    let mut dirty = Vec::new();
    let mut compare = |path: &RepoPath| -> Answer<()> {
        let (tracked, there) = (source.entry(head_tree, path)?, ask.checkout.on_disk(path)?);
        let same = match (tracked, &there) {
            (Some(entry), OnDisk::File(there)) => entry == *there,
            (None, OnDisk::Absent) => true,
            (Some(_) | None, _) => false,
        };
        if !same {
            dirty.push(path.to_string());
        }
        Ok(())
    };
    for file in &module.closure.files {
        compare(&file.path)?;
    }
    let known: BTreeSet<&RepoPath> = module.closure.files.iter().map(|file| &file.path).collect();
    if let Some(folder) = &module.manifest.runtime.tree {
        for raw in ask.checkout.files_below(folder)? {
            match std::str::from_utf8(&raw).ok().and_then(|raw| raw.parse::<RepoPath>().ok()) {
                Some(path) if known.contains(&path) => {}
                Some(path) => compare(&path)?,
                None => refusals.push(dirty_refusal(&[text::escaped_bytes(&raw)])),
            }
        }
    }
    if !dirty.is_empty() {
        refusals.push(dirty_refusal(&dirty));
    }
    Ok(refusals)
}

fn dirty_refusal(paths: &[String]) -> Refusal {
    Refusal::new(
        Code::CheckoutDirty,
        format!("files on disk differ from the checked-out commit: {}", names(paths)),
        "find out which step of the workflow changed them; git status",
    )
}
