//! A person or the system asks to stop: noted, so that a run ends where it can end safely. A second time it is obeyed
//! at once.

/// Begins to note requests to stop instead of obeying them at once. Where that is not possible they are obeyed.
pub fn watch() {
    drop(gix::interrupt::init_handler_default(1));
}

/// Whether a person or the system asked to stop.
pub(crate) fn asked() -> bool {
    gix::interrupt::is_triggered()
}
