//! Names that become words of other programs' command lines, files or places on a host: each in a type with the grammar
//! of its own field. None of them can begin with a dash, contain white space, or mean anything to a shell, to sed or to
//! a list of lines.

use std::{borrow::Borrow, fmt, ops::Deref, str::FromStr};

use super::{as_text::as_text, text::shown};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not {what}: {grammar}", shown(.text))]
pub struct NameError {
    /// The text.
    pub text: String,
    /// What it should have been, with its article.
    pub what: &'static str,
    /// Of which characters that consists.
    pub grammar: &'static str,
}

macro_rules! names {
    ($($(#[$doc:meta])* $type:ident $fits:ident $what:literal $grammar:literal)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                if $fits(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError { text: text.to_owned(), what: $what, grammar: $grammar })
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Deref for $type {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<String> for $type {
            fn eq(&self, other: &String) -> bool {
                self.0 == *other
            }
        }
        as_text!($type);
    )*};
}

names! {
    /// What Compose and the engine call something by: a service, network, volume, config, secret, profile or container.
    ComposeName is_compose "a name of Compose" "letters, digits, and after the first also _ . and -"
    /// A compose project.
    ProjectName is_project "a compose project" "1 to 63 lower-case letters, digits, and after the first also - and _"
    /// A variable of `runtime.vars`.
    VarName is_var "the name of a variable" "letters, digits and _, not a digit first"
    /// A key of a secret file that Compose reads as environment.
    KeyName is_key "a key of an env file" "letters, digits, and after the first also _ . and -; not a digit first"
    /// An image: name, tag and digest as a registry has them, or an id of the engine.
    ImageName is_image "the name of an image" "for instance redis:7.2, or registry.example.org:5000/team/app@sha256:…"
    /// A git remote or branch.
    GitName is_git "a name of a remote or branch" "letters, digits, and after the first also - _ . and single slashes"
    /// Where ssh goes: what ssh_config calls a host, `user@host`, or `ssh://user@host:port`.
    Destination is_destination "something that ssh can go to" "a name of ssh_config, user@host, or ssh://user@host:port"
    /// A line of known_hosts with the key of a host: names, type, key.
    KnownHost is_known_host "a line of known_hosts" "`host type key`, without markers, quotes or wildcards"
    /// A topic of an ntfy server.
    NtfyTopic is_topic "a topic of ntfy" "1 to 64 letters, digits, _, and after the first also -"
    /// A variable that has a token for notices. The prefix keeps every other secret of the environment out of reach of
    /// the policy, which also says where notices are sent.
    TokenVar is_token_var "a variable for the token of a channel" "capital letters, digits and _, beginning with PLATFORMCTL_NOTIFY_"
}

/// Longest name of Compose, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// A first character of one kind, and more of another.
fn spelt(text: &str, first: impl Fn(u8) -> bool, more: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(first) && bytes.all(more)
}

fn is_compose(text: &str) -> bool {
    let more = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    text.len() <= NAME_BYTES_MAX && spelt(text, |b| b.is_ascii_alphanumeric(), more)
}

fn is_project(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.len() <= 63 && spelt(text, plain, |b| plain(b) || b"-_".contains(&b))
}

fn is_var(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && spelt(text, |b| b.is_ascii_alphabetic() || b == b'_', |b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_topic(text: &str) -> bool {
    text.len() <= 64 && spelt(text, is_word, |b| is_word(b) || b == b'-')
}

fn is_token_var(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let rest = text.strip_prefix("PLATFORMCTL_NOTIFY_").unwrap_or_default();
    text.len() <= 64 && !rest.is_empty() && rest.bytes().all(plain)
}

fn is_key(text: &str) -> bool {
    let more = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    text.len() <= NAME_BYTES_MAX && spelt(text, |b| b.is_ascii_alphabetic() || b == b'_', more)
}

/// The reference grammar of registries (distribution/reference), with what the engine adds to it: ids.
fn is_image(text: &str) -> bool {
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        Some(_) | None => (name, None),
    };
    let (domain, path) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" || has_upper(first) => {
            (Some(first), rest)
        }
        Some(_) | None => (None, name),
    };
    text.len() <= 512
        && domain.is_none_or(is_domain)
        && path.split('/').all(is_path_part)
        && tag.is_none_or(|tag| tag.len() <= 128 && spelt(tag, is_word, |b| is_word(b) || b".-".contains(&b)))
        && digest.is_none_or(is_digest)
}

fn has_upper(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    };
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let label = |label: &str| spelt(label, |b| b.is_ascii_alphanumeric(), |b| b.is_ascii_alphanumeric() || b == b'-');
    let host = v6.map_or_else(
        || host.split('.').all(label),
        |v6| !v6.is_empty() && v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
    );
    host && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

fn is_path_part(part: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    spelt(part, plain, |b| plain(b) || b"._-".contains(&b)) && part.bytes().last().is_some_and(plain)
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        spelt(algorithm, |b| b.is_ascii_alphabetic(), |b| b.is_ascii_alphanumeric() || b"+._-".contains(&b))
            && hex.len() >= 32
            && hex.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// What git allows in a ref (git-check-ref-format) and no shell minds.
fn is_git(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    text.len() <= NAME_BYTES_MAX
        && spelt(
            text,
            |b| b.is_ascii_alphanumeric() || b == b'_',
            |b| b.is_ascii_alphanumeric() || b"-_./".contains(&b),
        )
        && !text.contains("..")
        && !text.ends_with('.')
        && text.split('/').all(part)
}

fn is_destination(text: &str) -> bool {
    let (rest, url) = text.strip_prefix("ssh://").map_or((text, false), |rest| (rest, true));
    let (user, host) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if url && !port.contains(']') => (host, Some(port)),
        Some(_) | None => (host, None),
    };
    let host = host.strip_prefix('[').filter(|_| url).and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // The zone of a link-local address.
    let (host, zone) =
        host.split_once('%').filter(|(host, _)| host.contains(':')).map_or((host, None), |(h, z)| (h, Some(z)));
    let first = |b: u8| is_word(b) || b == b':';
    let more = |b: u8| is_word(b) || b".:-".contains(&b);
    text.len() <= NAME_BYTES_MAX
        && spelt(host, first, more)
        && zone.is_none_or(|zone| spelt(zone, is_word, |b| is_word(b) || b".-".contains(&b)))
        && user.is_none_or(|user| spelt(user, is_word, |b| is_word(b) || b"@.+=-".contains(&b)))
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// One line of known_hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). Markers are refused: `@cert-authority` would let
/// the owner of that key answer for any host, and `@revoked` does not name the key of a host. Patterns are refused for
/// the same reason.
fn is_known_host(line: &str) -> bool {
    let mut fields = line.split(' ').filter(|field| !field.is_empty());
    let base64 =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    let hashed = |name: &str| {
        name.strip_prefix("|1|")
            .and_then(|rest| rest.split_once('|'))
            .is_some_and(|(salt, hash)| base64(salt) && base64(hash))
    };
    let bracketed = |name: &str| {
        let (host, port) = name.strip_prefix('[')?.split_once("]:")?;
        Some(is_host(host) && port.parse::<u16>().is_ok())
    };
    let is_type = |text: &str| {
        ["ssh-", "ecdsa-", "sk-"].iter().any(|begin| text.starts_with(begin))
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-@.".contains(&b))
    };
    let comment = |text: &str| !text.contains(['\'', '"', '`']);
    !line.contains(|c: char| c.is_control() || c == '\t')
        && fields.next().is_some_and(|names| {
            names.split(',').all(|name| hashed(name) || bracketed(name).unwrap_or_else(|| is_host(name)))
        })
        && fields.next().is_some_and(is_type)
        && fields.next().is_some_and(base64)
        && fields.all(comment)
}

/// A name or an address of a machine.
fn is_host(text: &str) -> bool {
    spelt(text, |b| is_word(b) || b == b':', |b| is_word(b) || b".:%-".contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_field_has_its_grammar() {
        let compose = |text: &str| text.parse::<ComposeName>().is_ok();
        assert!(["a", "A.b_c-D", "1", "traefik_proxy", "x-y.z"].into_iter().all(compose));
        assert!(!["", "-o.bashrc", "--no-interpolate", "a b", "a\n", "a/b", ".", "é", "a$b"].into_iter().any(compose));
        let project = |text: &str| text.parse::<ProjectName>().is_ok();
        assert!(["apps", "a-b_c", "1"].into_iter().all(project));
        assert!(!["", "Apps", "-a", "_a", "a.b", &"a".repeat(64)].into_iter().any(project));
        let var = |text: &str| text.parse::<VarName>().is_ok();
        assert!(var("_A1") && !var("1A") && !var("A-B") && !var("A=B") && !var(""));
        let key = |text: &str| text.parse::<KeyName>().is_ok();
        assert!(key("xpack.security-x") && !key(".*") && !key("A B") && !key("A\nB"));
    }

    #[test]
    fn image_names_follow_the_registry_grammar() {
        let hex = "0123456789abcdef".repeat(4);
        let (pinned, id) = (format!("redis@sha256:{hex}"), format!("sha256:{hex}"));
        for good in [
            "redis",
            "redis:7.2",
            "local/busybox:1",
            "docker.io/library/postgres:15-bookworm",
            "registry.example.org:5000/Team/app".to_lowercase().as_str(),
            "localhost/x",
            "localhost:5000/x:v1",
            "[::1]:5000/x",
            "ghcr.io/a/b__c-d.e:v1.2.3_x",
            "MYHOST/app",
            &pinned,
            &id,
            &hex,
        ] {
            assert!(good.parse::<ImageName>().is_ok(), "{good}");
        }
        for bad in
            ["", "-f", "--help", "a b", "a:", "a:-x", "A", "a/-b", "a//b", "a@sha256:short", "a\n", "a;b", "$X", "../x"]
        {
            assert!(bad.parse::<ImageName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ssh_destination_is_parsed_strictly() {
        for good in [
            "lab",
            "deploy@rs2000",
            "deploy@10.0.0.1",
            "ssh://deploy@host:2222",
            "ssh://[::1]:22",
            "me@realm@host",
            "fe80::1%eth0",
            "_a.b-c",
        ] {
            assert!(good.parse::<Destination>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-oProxyCommand=x",
            "a@-oProxyCommand=x",
            "-x@a",
            "a b",
            "a'b",
            "a\"b",
            "a`id`",
            "a\nb",
            "*",
            "a?",
            "[a-z]",
            "a;b",
            "a$(x)",
            "a%h",
            "ssh://a:x",
            "a|b",
            "a\\b",
        ] {
            assert!(bad.parse::<Destination>().is_err(), "{bad}");
        }
    }

    #[test]
    fn known_hosts_lines_name_one_host_and_key() {
        for good in [
            "host,10.0.0.1 ssh-ed25519 AAAA",
            "[127.0.0.1]:2222 ecdsa-sha2-nistp256 A+/= me@laptop",
            "|1|c2FsdA==|aGFzaA== ssh-rsa AA",
            "::1 sk-ssh-ed25519@openssh.com AAAA",
        ] {
            assert!(good.parse::<KnownHost>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "ssh-ed25519 AAAA",
            "@cert-authority *.lan ssh-rsa AA",
            "@cert-authority host ssh-rsa AA",
            "@revoked host ssh-rsa AA",
            "* ssh-rsa AA",
            "*.lan ssh-rsa AA",
            "host? ssh-rsa AA",
            "!host,other ssh-rsa AA",
            "host ssh-rsa AA\n* ssh-rsa BB",
            "ho'st ssh-rsa AA",
            "host ssh-rsa AA `x`",
            "# host ssh-rsa AA",
        ] {
            assert!(bad.parse::<KnownHost>().is_err(), "{bad}");
        }
    }

    #[test]
    fn git_remotes_and_branches_follow_ref_syntax() {
        for good in ["main", "origin", "release/1.x", "a_b-c"] {
            assert!(good.parse::<GitName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-x",
            "--upload-pack=x",
            "a..b",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "a.",
        ] {
            assert!(bad.parse::<GitName>().is_err(), "{bad}");
        }
    }

    proptest! {
        /// Attack: a name in the repository is an option, contains shell syntax or a pattern, or spans two lines.
        /// Defence: each kind of name has a type whose grammar excludes all of these.
        #[test]
        fn names_cannot_be_options_or_contain_shell_syntax(text in "[-a-zA-Z0-9_.@:/ \n\t'\"`$;|&*?%=+,~^<>(){}\\[\\]\\\\!#é\u{202e}]{0,12}") {
            crate::laws::names(text.as_bytes());
        }
    }
}
