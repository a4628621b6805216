//! Git's configuration of a remote.

use super::Git;
use crate::io::configured::Configured;

impl Git {
    /// The configuration of the remote `name`.
    pub fn remote(&self, name: &str) -> Configured {
        let config = self.repo.config_snapshot();
        let values = |key: &str| {
            let found = config.strings(format!("remote.{name}.{key}").as_str()).unwrap_or_default();
            let mut values: Vec<String> = found.iter().map(ToString::to_string).collect();
            // An empty value takes back those before it (git since 2.46).
            if let Some(at) = values.iter().rposition(String::is_empty) {
                values.drain(..=at);
            }
            values
        };
        let mut secrets = Vec::new();
        for section in config.sections_by_name("http").into_iter().flatten() {
            for header in section.values("extraHeader") {
                let header = header.to_string();
                secrets.extend(header.split_once(':').map(|(_, value)| value.trim().to_owned()));
                secrets.extend(header.split_whitespace().next_back().map(str::to_owned));
                secrets.extend(header.split_whitespace().next_back().and_then(password));
            }
        }
        // The login may be in the URL that another one is rewritten to.
        for section in config.sections_by_name("url").into_iter().flatten() {
            secrets.extend(section.header().subsection_name().map(ToString::to_string));
        }
        // A linked work tree has its remotes from the main one, and a relative URL means the same in both.
        let main = self.repo.git_dir() == self.repo.common_dir();
        Configured {
            urls: values("url"),
            push_urls: values("pushurl"),
            ssh_command: config.string("core.sshCommand").is_some(),
            ask_pass: config.string("core.askPass").is_some(),
            secrets,
            work_dir: self.repo.workdir().filter(|_| main).map(ToOwned::to_owned),
        }
    }
}

/// The password in the base64 form of `user:password`, as a header has it (RFC 7617).
fn password(base64: &str) -> Option<String> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    for digit in base64.trim_end_matches('=').bytes() {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        bits = (bits << 6 | u32::try_from(value).ok()?) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn credentials_in_http_extraheader_are_masked() {
        assert_eq!(super::password("b2xhOnNlY3JldA==").unwrap(), "secret");
        assert_eq!(super::password("eC1hY2Nlc3MtdG9rZW46YWJj").unwrap(), "abc");
        assert_eq!(super::password("not base64"), None);
        assert_eq!(super::password("Zm9v"), None);
    }
}
