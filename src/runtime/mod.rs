//! Drivers: host scripts as files, argv out, captured answers in. Pure.
