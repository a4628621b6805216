//! The interface of a driver: how it looks at a host, what it would change there, the reasons against that, what it
//! delivers, what it tells the host to do, and how success is recognised. All of it is pure: a driver makes orders and
//! reads answers, and the stages in `flow/` carry the orders to the host.

use std::fmt;

use serde_json::Value;

use crate::{
    model::{
        digest::Digest,
        evidence::Evidence,
        ids::{HostName, Oid, RunId},
        json::CanonicalError,
        module::{DataAction, Manifest},
        plan::Change,
        policy::{HostPolicy, SacredPolicy},
        refusal::{Code, Refusal},
    },
    port::{Answer, Member, PortError, Reply, Script},
    runtime::machine::Machine,
    tree::module::Module,
};

/// A module at a version, and the policy about its host.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The module.
    pub module: &'a Module,
    /// The module as it is applied: content that the host already has is not sent again.
    pub before: Option<&'a Module>,
    /// The name of its host.
    pub name: &'a HostName,
    /// Its host's entry.
    pub host: &'a HostPolicy,
    /// Paths that no module may touch, and doors that are open.
    pub sacred: &'a SacredPolicy,
}

impl Target<'_> {
    /// Whether a reviewed change of this apply accepts that data goes: an entry that was there when something was
    /// applied before was for another change.
    pub fn acknowledges(&self, data: &str, action: DataAction) -> bool {
        let entries = |module: &Module| {
            let entries = &module.manifest.acknowledge;
            entries.iter().filter(|entry| entry.data == data && entry.action == action).count()
        };
        entries(self.module) > self.before.map_or(0, entries)
    }
}

/// A part of what is sent with an order.
#[derive(Debug)]
pub enum Part {
    /// A file with these bytes.
    Member(Member),
    /// A file that is a blob of the repository.
    Blob {
        /// Its path inside the delivery.
        path: String,
        /// Its permission bits.
        mode: u32,
        /// The blob.
        id: Oid,
    },
}

/// An order for a host: a script, its arguments, and the files that are sent with it (`None`: no input at all).
#[derive(Debug)]
pub struct Order {
    /// The script.
    pub script: Script,
    /// Its arguments.
    pub args: Vec<String>,
    /// What is sent along.
    pub parts: Option<Vec<Part>>,
}

impl Order {
    /// An order without files.
    pub fn new(script: Script, args: impl Into<Vec<String>>) -> Self {
        Self { script, args: args.into(), parts: None }
    }

    /// The same with files.
    #[must_use]
    pub fn with(self, parts: impl IntoIterator<Item = Part>) -> Self {
        Self { parts: Some(parts.into_iter().collect()), ..self }
    }
}

/// A step of a look at a host.
pub enum Look<'a> {
    /// Something has to be asked; its answer leads to the next step.
    Ask(Order, Then<'a>),
    /// Everything was seen.
    Seen(Machine, Box<dyn Seen>),
}

/// The next step of a look.
pub type Looking<'a> = Answer<Look<'a>>;

/// Reads an answer and returns the next step.
pub type Then<'a> = Box<dyn FnOnce(&Reply) -> Looking<'a> + 'a>;

/// The error for an answer that a script cannot have given.
pub fn nonsense(script: &Script, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    let what = format!("the host's answer to {} cannot be parsed", script.name);
    PortError::new(Code::HostUnreachable, what, "inspect the host; nothing was changed").because(cause)
}

/// One question of the gate: its name, the evidence for the answer, and every reason against.
pub type Answered = (&'static str, Value, Vec<Refusal>);

/// What an intent tells a driver for its orders.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// The name of the lock on the host.
    pub lock: &'a str,
    /// The run.
    pub run: &'a RunId,
    /// By which its result is recognised.
    pub nonce: &'a str,
    /// The fencing number: the seq of the intent.
    pub fence: u64,
    /// The first record.
    pub genesis: Oid,
    /// The witness, as JSON.
    pub witness: &'a str,
}

impl Head<'_> {
    /// ROOT MODULE LOCK RUN NONCE FENCE GENESIS WITNESS ORDERS RELEASE: the first arguments of every script that
    /// changes something. `orders` is the digest of the listing of what is sent along, if anything is.
    pub fn args(&self, target: Target<'_>, orders: Option<Digest>) -> Vec<String> {
        vec![
            target.host.root.to_string(),
            target.module.manifest.id.to_string(),
            self.lock.to_owned(),
            self.run.to_string(),
            self.nonce.to_owned(),
            self.fence.to_string(),
            self.genesis.to_string(),
            self.witness.to_owned(),
            orders.map_or_else(|| "-".to_owned(), |digest| digest.hex()),
            target.module.closure.digest.hex(),
        ]
    }
}

/// What is delivered, and how many files the host verifies.
#[derive(Debug)]
pub struct Delivery {
    /// How it is sent.
    pub order: Order,
    /// How many files.
    pub files: u64,
}

/// A driver.
pub trait Driver: fmt::Debug + Sync {
    /// Whether its modules run in a Docker engine.
    fn needs_engine(&self) -> bool;

    /// The name of the lock of a module's runs on its host.
    fn lock(&self, manifest: &Manifest) -> String;

    /// Begins a look at what runs, and at what the module's files become on its host. `salt` makes a
    /// random text, which hides what a recorded digest is of.
    ///
    /// # Errors
    /// The host cannot be asked about this module.
    fn look<'a>(&self, target: Target<'a>, salt: &dyn Fn() -> String) -> Looking<'a>;

    /// What merging `wanted` would change, by its files alone: nothing of it ever reaches a host.
    ///
    /// # Errors
    /// Only if something cannot be written as canonical JSON, which its types rule out.
    fn preview(&self, wanted: &Module, applied: Option<&Module>) -> Result<Vec<Change>, CanonicalError>;

    /// Brings images that the host does not have; `None` if the driver knows none.
    fn pull(&self, host: &HostPolicy, images: &[String]) -> Option<Order>;

    /// Asks how what runs ended, and for its last `lines` lines; `None` if nothing of the module can be asked.
    fn logs(&self, module: &Module, host: &HostPolicy, lines: u64) -> Option<Order>;
}

/// What was seen on a host.
pub trait Seen: fmt::Debug {
    /// Compares what was seen with what the module wants. `again`: jobs are run once more although nothing changed.
    fn diff(self: Box<Self>, target: Target<'_>, again: bool) -> Box<dyn Work>;

    /// Watches what runs already, as the module wants it.
    ///
    /// # Errors
    /// What must run can no longer be determined on this host.
    fn watch<'a>(self: Box<Self>, target: Target<'a>) -> Result<Box<dyn Watch + 'a>, PortError>;
}

/// Digests of what a driver made of the module on the host, for the plan.
#[derive(Debug, Clone, Copy, Default)]
pub struct Made {
    /// Of the override.
    pub override_: Option<Digest>,
    /// Of the final model, without values.
    pub model: Option<Digest>,
}

/// What a driver will do, down to the last argument.
pub trait Work: fmt::Debug {
    /// What changes.
    fn changes(&self) -> &[Change];

    /// Whether the changes are reported service by service, or as one switch.
    fn is_by_service(&self) -> bool;

    /// Digests for the plan.
    fn made(&self) -> Made;

    /// Doors that the module opens, by name.
    fn exceptions(&self, target: Target<'_>) -> Vec<String>;

    /// Whether what runs could be compared at all.
    fn is_known(&self) -> bool;

    /// Whether something that platformctl did not create is in its place.
    fn is_foreign(&self) -> bool;

    /// Images that the host does not have, by name.
    fn missing_images(&self) -> Vec<String>;

    /// What a reader must know of the watch, besides.
    fn warnings(&self, target: Target<'_>) -> Vec<String>;

    /// The questions of the gate that are this driver's alone.
    fn judge(&self, target: Target<'_>) -> Vec<Answered>;

    /// What is delivered. `nonce` names the temporary folder.
    fn delivery(&self, target: Target<'_>, nonce: &str) -> Delivery;

    /// What changes the host, once.
    fn orders(&self, target: Target<'_>, head: Head<'_>) -> Order;

    /// Watches what the change made.
    fn watch<'a>(&'a self, target: Target<'a>) -> Box<dyn Watch + 'a>;
}

/// What a watch wants next.
#[derive(Debug)]
pub enum Next {
    /// Something has to be asked.
    Ask(Order),
    /// Milliseconds to wait.
    Sleep(u64),
    /// Everything is as planned, and stayed so.
    Done(Evidence),
    /// It is not as planned.
    Failed(PortError),
}

/// A watch over what runs until it has been as planned for the settle window, or failed.
pub trait Watch {
    /// What is to be done now; `now_ms` is of a clock that only goes forwards.
    fn next(&mut self, now_ms: u64) -> Next;

    /// Takes the answer to what was asked.
    ///
    /// # Errors
    /// An answer that the script cannot have printed: the state is unknown.
    fn answer(&mut self, reply: &Reply, now_ms: u64) -> Answer<()>;
}
