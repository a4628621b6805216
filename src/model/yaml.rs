//! YAML: two readers, one answer.
