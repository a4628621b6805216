//! Shell scripts of workflows, read far enough to see which commands they run, with which words, and where their output
//! goes. What is not understood is left as text: this is no shell.

use super::expression::BYTES_MAX;

/// How deep commands are looked for in commands.
const NESTED_MAX: usize = 8;

/// A command of a script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// Its words as they are written, quotes included, without redirections.
    pub words: Vec<String>,
    /// Whether its standard output goes into a file or another command.
    pub redirected: bool,
    /// Where its output goes, if that is a file.
    pub target: Option<String>,
    /// What stands after it and decides about its failure: the words of the command after `||` or `;` on its line.
    pub otherwise: Option<Vec<String>>,
}

/// The commands of a script, in order; those in `$( )` and in quotes of such stand in the words that hold them.
pub fn commands(script: &str) -> Vec<Command> {
    if script.len() > BYTES_MAX {
        return Vec::new();
    }
    let mut reader = Reader { chars: script.chars().collect(), at: 0, heredocs: Vec::new() };
    let mut found: Vec<(Command, Separator)> = Vec::new();
    while let Some(one) = reader.command() {
        found.push(one);
    }
    let next: Vec<Option<Vec<String>>> = found.iter().skip(1).map(|(command, _)| Some(command.words.clone())).collect();
    let mut commands = Vec::with_capacity(found.len());
    for (at, (mut command, separator)) in found.into_iter().enumerate() {
        match separator {
            Separator::Or | Separator::Semicolon => command.otherwise = next.get(at).cloned().flatten(),
            Separator::Pipe => command.redirected = true,
            Separator::Other => {}
        }
        if !command.words.is_empty() {
            commands.push(command);
        }
    }
    commands
}

/// A word without its quotes and backslashes.
pub fn bare(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '"' | '\'' | '\\')).collect()
}

/// The words after `program` wherever it is called in a script, also inside of `$( )`: its arguments up to the end of
/// that command.
pub fn calls(script: &str, program: &str) -> Vec<Vec<String>> {
    called(script, program, NESTED_MAX)
}

fn called(script: &str, program: &str, deeper: usize) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for command in commands(script) {
        for (at, word) in command.words.iter().enumerate() {
            let name = bare(word);
            if name == program || name.ends_with(&format!("/{program}")) {
                found.push(command.words[at + 1..].iter().map(|word| bare(word)).collect());
            } else if let Some((_, inner)) = word.split_once("$(").filter(|_| deeper > 0) {
                let inner = inner.rsplit_once(')').map_or(inner, |(inner, _)| inner);
                found.extend(called(inner, program, deeper - 1));
            }
        }
    }
    found
}

/// Whether a text uses a variable of the shell: `$NAME` or `${NAME…}`.
pub fn uses(text: &str, name: &str) -> bool {
    text.match_indices('$').any(|(at, _)| {
        let rest = &text[at + 1..];
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        rest.strip_prefix(name).is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    Or,
    Pipe,
    Semicolon,
    Other,
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    /// The words that end the here-documents of this line.
    heredocs: Vec<String>,
}

impl Reader {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    /// The next command and what ends it; `None` at the end.
    fn command(&mut self) -> Option<(Command, Separator)> {
        self.peek(0)?;
        let mut command = Command::default();
        loop {
            match self.peek(0) {
                None => return Some((command, Separator::Other)),
                Some(' ' | '\t' | '\r') => self.at += 1,
                Some('\\') if self.peek(1) == Some('\n') => self.at += 2,
                Some('#') => self.skip_line(),
                Some('>' | '<') => self.redirection(&mut command),
                Some(c) if c.is_ascii_digit() && matches!(self.peek(1), Some('>' | '<')) => {
                    self.at += 1;
                    let errors = c != '1';
                    let (redirected, target) = (command.redirected, command.target.clone());
                    self.redirection(&mut command);
                    if errors {
                        (command.redirected, command.target) = (redirected, target);
                    }
                }
                Some(c) if "\n;&|(){}".contains(c) => {
                    let separator = self.separator(c);
                    return Some((command, separator));
                }
                Some(_) => {
                    let word = self.word();
                    let keyword = ["if", "then", "else", "elif", "do", "while", "until", "!", "time", "exec"];
                    if !(command.words.is_empty() && keyword.contains(&word.as_str())) {
                        command.words.push(word);
                    }
                }
            }
        }
    }

    fn separator(&mut self, c: char) -> Separator {
        let twice = self.peek(1) == Some(c);
        self.at += if twice && matches!(c, '&' | '|' | ';') { 2 } else { 1 };
        match c {
            '|' if twice => Separator::Or,
            '|' => Separator::Pipe,
            ';' => Separator::Semicolon,
            '\n' => {
                self.skip_heredocs();
                Separator::Other
            }
            _ => Separator::Other,
        }
    }

    fn skip_line(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.at += 1;
        }
    }

    fn redirection(&mut self, command: &mut Command) {
        let reads = self.peek(0) == Some('<');
        let mut sign = String::new();
        while let Some(c) = self.peek(0).filter(|c| matches!(c, '>' | '<' | '-' | '|') && sign.len() < 3) {
            sign.push(c);
            self.at += 1;
        }
        let to_stream = self.peek(0) == Some('&');
        self.at += usize::from(to_stream);
        while matches!(self.peek(0), Some(' ' | '\t')) {
            self.at += 1;
        }
        let target = self.word();
        if sign.starts_with("<<") && !sign.starts_with("<<<") {
            self.heredocs.push(bare(&target));
        } else if !reads && !to_stream {
            command.redirected = true;
            command.target = Some(target);
        }
    }

    fn skip_heredocs(&mut self) {
        for end in std::mem::take(&mut self.heredocs) {
            while self.at < self.chars.len() {
                let begin = self.at;
                self.skip_line();
                let line: String = self.chars[begin..self.at].iter().collect();
                self.at += 1;
                if line.trim() == end {
                    break;
                }
            }
        }
        self.at = self.at.min(self.chars.len());
    }

    /// An expression of the workflow, which the runner replaces before a shell reads the script.
    fn skip_expression(&mut self) {
        self.at += 3;
        while self.peek(0).is_some_and(|c| c != '}' || self.peek(1) != Some('}')) {
            self.at += 1;
        }
        self.at = (self.at + 2).min(self.chars.len());
    }

    /// A word up to a blank or a sign outside of quotes and of `$( )`.
    fn word(&mut self) -> String {
        let begin = self.at;
        let (mut quote, mut depth) = (None, 0_usize);
        while let Some(c) = self.peek(0) {
            if c == '$' && self.peek(1) == Some('{') && self.peek(2) == Some('{') {
                self.skip_expression();
                continue;
            }
            match (c, quote) {
                ('\\', None | Some('"')) => self.at += 1,
                ('\'' | '"', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                ('(', _) if depth > 0 || (self.at > begin && self.chars[self.at - 1] == '$') => depth += 1,
                (')', _) if depth > 0 => depth -= 1,
                ('{' | '}', None) if self.at > begin => {}
                (c, None) if depth == 0 && self.at > begin && " \t\r\n;&|()<>".contains(c) => break,
                _ => {}
            }
            self.at += 1;
        }
        self.at = self.at.min(self.chars.len());
        self.chars[begin..self.at].iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(script: &str) -> Vec<Vec<String>> {
        commands(script).into_iter().map(|command| command.words).collect()
    }

    #[test]
    fn commands_are_split_outside_of_quotes() {
        assert_eq!(
            words("a 'b; c' \"d | e\" \\\n  f; g && h || i | j # k\nl"),
            [vec!["a", "'b; c'", "\"d | e\"", "f"], vec!["g"], vec!["h"], vec!["i"], vec!["j"], vec!["l"]]
        );
        assert_eq!(
            words("if x; then y; fi\nx=$(a b | c) d"),
            [vec!["x"], vec!["y"], vec!["fi"], vec!["x=$(a b | c)", "d"]]
        );
        assert_eq!(words("cat <<'END' >f\necho no\nEND\necho yes"), [vec!["cat"], vec!["echo", "yes"]]);
        assert_eq!(words("f() { a; }\n"), [vec!["f"], vec!["a"]]);
        assert_eq!(words("a ${{ f('x | y') }}b c"), [vec!["a", "${{ f('x | y') }}b", "c"]]);
    }

    #[test]
    fn output_and_failure_are_followed() {
        let all = commands("printf '%s' \"$K\" >\"$f\"\necho \"$K\" 2>/dev/null\necho $K | cat\na || true\nb >&2\n");
        let redirected: Vec<bool> = all.iter().map(|command| command.redirected).collect();
        assert_eq!(redirected, [true, false, true, false, false, false, false]);
        assert_eq!(all[0].target.as_deref(), Some("\"$f\""));
        assert_eq!(all[4].otherwise, Some(vec!["true".to_owned()]));
        assert!(uses("x ${K:-}", "K") && uses("$K", "K") && !uses("$KEY", "K") && !uses("K", "K"));
    }

    #[test]
    fn program_calls_are_found_wherever_they_stand() {
        let script = "x=\"$(platformctl plan site)\"\n./bin/platformctl -C \"$D\" apply --pr \"$PR\" | tee log\n# platformctl no\n";
        assert_eq!(calls(script, "platformctl"), [vec!["plan", "site"], vec!["-C", "$D", "apply", "--pr", "$PR"]]);
    }

    #[test]
    fn unfinished_scripts_end() {
        for script in
            ["a '", "a \"$(", "a \\", ">", "<<", "a <<E\nb", "$((((", "|||||", "a >", "{}{}", "\u{0}", "${{", "${{ }"]
        {
            drop(commands(script));
        }
    }
}
