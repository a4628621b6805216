//! The texts of the host scripts, put together from the files in `scripts/`. Every script is built here.

/// The text of a script: files of `scripts/`, by name, one behind the other.
macro_rules! scripts {
    ($($file:literal),+) => {
        concat!($(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/runtime/scripts/", $file, ".sh"))),+)
    };
}

/// The text of a script that changes something: it carries out a driver's step, whose files define `check` and
/// `change`. Around these two the protocol (`protocol.sh`) takes the lock, compares the fence, leaves the witness and
/// writes the result.
macro_rules! run_script {
    ($($step:literal),+) => {
        concat!(
            $crate::runtime::script::scripts!("protocol"),
            "step() {\ncat <<'STEP'\n",
            $crate::runtime::script::scripts!("protocol", $($step),+),
            "carry_out \"$@\"\nSTEP\n}\n",
            $crate::runtime::script::scripts!("run")
        )
    };
}

pub(super) use {run_script, scripts};
