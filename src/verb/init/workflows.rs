//! The workflows of Forgejo Actions, as `init --forgejo` writes them and as this project has them itself.

use crate::{
    flow::{Stage, refuse},
    model::{refusal::Code, text},
};

/// The action that puts the repository into the workspace, by its address and commit.
pub const CHECKOUT: &str =
    "https://data.forgejo.org/actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2";

/// Declares the templates: each is a file of `.forgejo/workflows/`.
macro_rules! templates {
    ($($name:literal)*) => {
        const TEMPLATES: &[(&str, &str)] = &[$((
            concat!(".forgejo/workflows/", $name, ".yaml"),
            include_str!(concat!("workflows/", $name, ".yaml")),
        ),)*];
    };
}

templates!("validate" "plan" "apply" "apply-merged" "resume" "abandon" "status");

/// The workflows for a base branch: path and text.
///
/// # Errors
/// The branch has a name that an expression of a workflow cannot have.
pub fn of(base: &str) -> Stage<Vec<(&'static str, String)>> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
    if !base.bytes().all(plain) {
        let fact = format!("the base branch `{}` has a name that no workflow can compare with", text::shown(base));
        return refuse(Code::Usage, fact, "rename it to letters, digits, - _ . and /, or leave out --forgejo");
    }
    let scalar = text::yaml_scalar(base);
    let filled =
        |template: &str| template.replace("@BRANCH@", &scalar).replace("@BASE@", base).replace("@CHECKOUT@", CHECKOUT);
    Ok(TEMPLATES.iter().map(|(path, template)| (*path, filled(template))).collect())
}
