//! The ten stages of the sentence, in order: approve, bind, observe, plan, gate, open, ship, run, verify, close. Each
//! consumes the product of the one before it and has products of its own that nothing else can build.

pub mod approve;
pub mod bind;
pub mod close;
pub mod gate;
pub mod observe;
pub mod open;
pub mod plan;
pub mod run;
pub mod ship;
pub mod verify;

use crate::{
    model::{
        ids::Oid,
        refusal::{Code, Refusal},
    },
    port::{Answer, Host, Input, Member, PortError, Reply},
    runtime::driver::{Order, Part},
};

/// Why a stage gave no product.
#[derive(Debug)]
pub enum Stop {
    /// Every reason it has, at once.
    Refused(Vec<Refusal>),
    /// The world failed.
    Failed(PortError),
}

/// A stage's product, or why there is none.
pub type Stage<T> = Result<T, Stop>;

impl From<PortError> for Stop {
    fn from(error: PortError) -> Self {
        Self::Failed(error)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(vec![refusal])
    }
}

/// Carries an order to a host; its blobs are read while it is sent.
///
/// # Errors
/// As [`Host::run`], or a blob cannot be read.
pub(crate) fn send(host: &dyn Host, order: Order, read: &dyn Fn(Oid) -> Answer<Vec<u8>>) -> Answer<Reply> {
    let Order { script, args, parts } = order;
    let Some(parts) = parts else { return host.run(&script, &args, Input::Nothing) };
    let mut members = parts.into_iter().map(|part| match part {
        Part::Member(member) => Ok(member),
        Part::Blob { path, mode, id } => Ok(Member { path, mode, bytes: read(id)? }),
    });
    host.run(&script, &args, Input::Tar(&mut members))
}

/// For orders without blobs.
///
/// # Errors
/// Always.
pub(crate) fn no_blob(id: Oid) -> Answer<Vec<u8>> {
    Err(PortError::new(Code::Bug, format!("the blob {id} is asked for where none is sent"), "please report this"))
}

/// Stops with one reason.
///
/// # Errors
/// Always.
pub fn refuse<T>(code: Code, fact: impl Into<String>, fix: impl Into<String>) -> Stage<T> {
    Err(Refusal::new(code, fact, fix).into())
}

/// Goes on only without reasons.
///
/// # Errors
/// There are reasons.
pub fn unless(refusals: Vec<Refusal>) -> Stage<()> {
    if refusals.is_empty() { Ok(()) } else { Err(Stop::Refused(refusals)) }
}
