//! E2: code from elsewhere that is not named by its content.

use super::{
    super::{
        super::{text::shown, yaml::Node},
        document::Workflow,
    },
    report::Found,
};

pub(super) fn check(workflow: &Workflow, found: &mut Found<'_>) {
    for job in workflow.jobs() {
        for uses in job.steps().iter().chain([job.node]).filter_map(|node| node.get("uses")) {
            action(uses, found);
        }
        if let Some(container) = job.node.get("container") {
            image(container, found);
        }
        for (_, service) in job.node.get("services").map(Node::entries).unwrap_or_default() {
            image(service, found);
        }
    }
}

fn action(uses: &Node, found: &mut Found<'_>) {
    let text = uses.text().unwrap_or_default();
    let said = shown(text);
    if text.starts_with("./") && !text.split('/').any(|part| part == "..") {
        return;
    }
    if let Some(image) = text.strip_prefix("docker://") {
        if !has_digest(image) {
            found.on(uses, format!("`{said}` names an image without its digest"), DIGEST);
        }
        return;
    }
    let Some((address, rev)) = text.split_once('@') else {
        found.on(uses, format!("`{said}` names no commit"), PIN);
        return;
    };
    let parts = address.strip_prefix("https://").map(|rest| rest.split('/').filter(|part| !part.is_empty()).count());
    if parts.is_none_or(|parts| parts < 3) {
        let fact = format!("`{said}` is no full https:// address: each server takes it from another place");
        found.on(uses, fact, PIN);
    } else if !is_commit(rev) {
        let fact = format!("`{said}` is a tag or branch, which can be moved to other code at any time");
        found.on(uses, fact, PIN);
    }
}

const PIN: &str =
    "write the whole address and the commit: https://data.forgejo.org/OWNER/NAME@ and 40 hexadecimal digits";
const DIGEST: &str = "name the image by its digest: NAME@sha256: and 64 hexadecimal digits";

fn image(node: &Node, found: &mut Found<'_>) {
    let image = node.get("image").unwrap_or(node);
    let Some(text) = image.text() else { return };
    if !has_digest(text) {
        found.on(image, format!("`{}` names an image without its digest", shown(text)), DIGEST);
    }
}

fn is_hex(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_commit(rev: &str) -> bool {
    is_hex(rev, &[40, 64])
}

fn has_digest(image: &str) -> bool {
    image.rsplit_once("@sha256:").is_some_and(|(_, digest)| is_hex(digest, &[64]))
}
