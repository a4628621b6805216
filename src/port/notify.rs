//! Notify: tells people.

use crate::{
    model::{message::Message, notify::Channel},
    port::Answer,
};

/// Sends messages to people. What fails here fails nothing else.
pub trait Notify {
    /// Sends one message by one channel, within a few seconds. It was delivered if the channel's server took it.
    ///
    /// # Errors
    /// It was not, or that is not known.
    fn send(&self, channel: Channel<'_>, message: &Message) -> Answer<()>;
}
