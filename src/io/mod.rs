//! Effects: the only rooms where processes start, files are opened and clocks are read. They decide nothing.
pub mod archive;
pub mod local;
