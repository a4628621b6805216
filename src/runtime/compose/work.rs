//! What driver compose will do: what changes, the reasons against it, what is sent, and what must run in the end.

use std::collections::BTreeSet;

use crate::{
    model::{
        digest::Digest,
        plan::{Action, Change},
        refusal::Code,
    },
    port::{Member, PortError},
    runtime::{
        compose::{
            self,
            change::Changes,
            delivery, gate,
            seen::ComposeSeen,
            settle::{self, Settling},
            watch::Expected,
        },
        driver::{Answered, Delivery, Head, Made, Order, Part, Seen, Target, Watch, Work},
    },
};

impl Seen for ComposeSeen {
    fn diff(self: Box<Self>, target: Target<'_>, again: bool) -> Box<dyn Work> {
        let changes = self.changes(target, again);
        let mut expected = self.expected(&target.module.manifest.jobs);
        self.unhashed(&mut expected, &changes.changes);
        Box::new(ComposeWork { seen: *self, changes, expected })
    }

    fn watch<'a>(self: Box<Self>, target: Target<'a>) -> Result<Box<dyn Watch + 'a>, PortError> {
        let expected = self.expected(&target.module.manifest.jobs);
        if expected.len() != target.module.rendering.services.len() {
            return Err(PortError::new(
                Code::HostFailed,
                "the release can no longer be rendered on the host as it was applied",
                "look at the secrets and images on the host, then apply again",
            ));
        }
        Ok(Box::new(Settling::new(target, expected)))
    }
}

/// What will be done.
#[derive(Debug)]
pub(super) struct ComposeWork {
    /// What was seen.
    pub seen: ComposeSeen,
    /// What changes, and what that does to data, containers and networks.
    pub changes: Changes,
    /// What must run in the end.
    pub expected: Vec<Expected>,
}

impl Work for ComposeWork {
    fn changes(&self) -> &[Change] {
        &self.changes.changes
    }

    fn is_by_service(&self) -> bool {
        true
    }

    fn made(&self) -> Made {
        let Some((overlay, looked)) = &self.seen.seen else { return Made::default() };
        Made { override_: Some(overlay.digest), model: looked.model.as_ref().map(|model| model.digest) }
    }

    fn exceptions(&self, target: Target<'_>) -> Vec<String> {
        let Some((_, looked)) = &self.seen.seen else { return Vec::new() };
        let opened = looked.model.iter().flat_map(|model| model.opened(&target.host.root)).map(|(door, _)| door);
        opened.collect::<BTreeSet<String>>().into_iter().collect()
    }

    fn is_known(&self) -> bool {
        self.seen.seen.as_ref().is_some_and(|(_, looked)| looked.failed.is_none())
    }

    fn is_foreign(&self) -> bool {
        false
    }

    fn missing_images(&self) -> Vec<String> {
        self.seen.rendered.missing_images()
    }

    fn warnings(&self, target: Target<'_>) -> Vec<String> {
        let model = self.seen.rendered.model.as_ref();
        model.and_then(|model| settle::unseen(target.module, model)).into_iter().collect()
    }

    fn judge(&self, target: Target<'_>) -> Vec<Answered> {
        gate::judge(target, &self.seen, &self.changes, self.expected.len())
    }

    fn delivery(&self, target: Target<'_>, nonce: &str) -> Delivery {
        delivery::delivery(target, &self.seen, nonce)
    }

    /// How to render, what must come out of it, and what is to be done.
    fn orders(&self, target: Target<'_>, head: Head<'_>) -> Order {
        let mut members = compose::how(target);
        if let Some((overlay, looked)) = &self.seen.seen {
            let changed = self.changes.changes.iter().filter(|change| change.action != Action::Remove);
            // A missing data folder is created at its own path.
            let root = looked.sacred.last().cloned().flatten();
            let data = format!("{}/data/", target.host.root);
            let made = |path: &String| Some(format!("{}/data/{}", root.as_ref()?, path.strip_prefix(&data)?));
            let reals = self.seen.binds.iter().zip(&looked.reals);
            let reals =
                reals.filter_map(|(path, real)| Some(format!("{}\n{path}", real.clone().or_else(|| made(path))?)));
            members.extend([
                Member { path: "p/override.json".to_owned(), mode: 0o600, bytes: overlay.bytes.clone() },
                compose::text("p/salt", format!("{}\n", self.seen.salt)),
                compose::text("p/final", format!("{}\n", looked.final_)),
                compose::lines("p/changed", changed.map(|change| &change.service)),
                compose::lines("p/anew", &self.changes.anew),
                compose::lines("p/remove", &self.changes.remove),
                compose::lines("p/reals", reals),
            ]);
        }
        // As `sha256sum` lists them: the host checks that it has all of them, complete.
        let line = |member: &Member| {
            let name = member.path.strip_prefix("p/").unwrap_or(&member.path);
            format!("{}  {name}\n", Digest::of(&member.bytes).hex())
        };
        let listing: String = members.iter().map(line).collect();
        let mut args = head.args(target, Some(Digest::of(listing.as_bytes())));
        members.push(compose::text("p/orders", listing));
        args.extend(compose::args(&target.module.manifest, target.host, "").split_off(3));
        Order::new(compose::RUN, args).with(members.into_iter().map(Part::Member))
    }

    fn watch<'a>(&'a self, target: Target<'a>) -> Box<dyn Watch + 'a> {
        Box::new(Settling::new(target, self.expected.clone()))
    }
}
