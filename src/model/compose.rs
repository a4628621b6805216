//! Compose files as they are written: a source scan, never a rendering.
