//! Expressions of workflows: what stands in `${{ }}`, parsed far enough to tell which contexts its value comes from.

/// How deep expressions may be nested.
const DEPTH_MAX: usize = 32;

/// Most bytes of one text that is read: a larger one is a finding itself.
pub const BYTES_MAX: usize = 64 << 10;

/// Most expressions of one text.
const COUNT_MAX: usize = 1_000;

/// The names that one context has: Forgejo's own two, GitHub's, and Gitea's.
pub const FORGE_CONTEXTS: &[&str] = &["github", "forge", "forgejo", "gitea"];

/// Functions whose result carries no text of their arguments.
const DECIDING: &[&str] =
    &["contains", "startswith", "endswith", "hashfiles", "success", "failure", "always", "cancelled"];

/// One step of the path into a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A name, in lower case: names are compared without regard to case.
    Name(String),
    /// `*`, or an index that is computed: any of them.
    Any,
}

/// A path into a context: `github.event.commits.*.message`. The first part of Forgejo's contexts is always `github`.
pub type Path = Vec<Part>;

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// A number, a boolean or `null`.
    Constant,
    /// A string.
    Text(String),
    /// A path into a context, and the expressions in its indices.
    Context(Path, Vec<Self>),
    /// A function with its arguments.
    Call(String, Vec<Self>),
    /// `!`, and comparisons: a boolean.
    Decision(Vec<Self>),
    /// `==` or `!=`, which rules look into.
    Equal(bool, Box<Self>, Box<Self>),
    /// `&&` (true) or `||`: the value of one of the two.
    Either(bool, Box<Self>, Box<Self>),
}

impl Expr {
    /// The paths whose value may be in the value of the expression.
    pub fn flows(&self) -> Vec<&Path> {
        match self {
            Self::Constant | Self::Text(_) | Self::Decision(_) | Self::Equal(..) => Vec::new(),
            Self::Context(path, _) => vec![path],
            Self::Call(name, _) if DECIDING.contains(&name.as_str()) => Vec::new(),
            Self::Call(_, args) => args.iter().flat_map(Self::flows).collect(),
            Self::Either(and, left, right) => {
                let left = if *and { Vec::new() } else { left.flows() };
                left.into_iter().chain(right.flows()).collect()
            }
        }
    }

    /// Every path in the expression, whatever becomes of it.
    pub fn mentions(&self) -> Vec<&Path> {
        match self {
            Self::Constant | Self::Text(_) => Vec::new(),
            Self::Context(path, inner) => inner.iter().flat_map(Self::mentions).chain([path]).collect(),
            Self::Call(_, all) | Self::Decision(all) => all.iter().flat_map(Self::mentions).collect(),
            Self::Equal(_, left, right) | Self::Either(_, left, right) => {
                left.mentions().into_iter().chain(right.mentions()).collect()
            }
        }
    }

    /// The expressions that must all hold for this one: what `&&` joins.
    pub fn demands(&self) -> Vec<&Self> {
        match self {
            Self::Either(true, left, right) => left.demands().into_iter().chain(right.demands()).collect(),
            Self::Constant
            | Self::Text(_)
            | Self::Context(..)
            | Self::Call(..)
            | Self::Decision(_)
            | Self::Equal(..)
            | Self::Either(false, ..) => vec![self],
        }
    }
}

/// A path as a pattern: `github.event.commits.*.message`.
pub fn path(text: &str) -> Path {
    let part = |part: &str| if part == "*" { Part::Any } else { Part::Name(part.to_owned()) };
    text.split('.').map(part).collect()
}

/// Whether a path is what a pattern names, lies in it, or holds it.
pub fn touches(found: &[Part], pattern: &[Part]) -> bool {
    found.iter().zip(pattern).all(|(one, other)| match (one, other) {
        (Part::Name(one), Part::Name(other)) => one == other,
        (Part::Any, _) | (_, Part::Any) => true,
    })
}

/// A path as it is written.
pub fn written(path: &[Part]) -> String {
    let part = |part: &Part| match part {
        Part::Name(name) => super::super::text::shown(name),
        Part::Any => "*".to_owned(),
    };
    path.iter().map(part).collect::<Vec<_>>().join(".")
}

/// An expression in a text: where its `${{` begins, its text without the braces, and the expression, if it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'t> {
    /// The byte at which `${{` stands.
    pub at: usize,
    /// What stands between the braces.
    pub inner: &'t str,
    /// The expression; `None` where it is not understood.
    pub expr: Option<Expr>,
}

/// Every expression in a text. One that is too large, or has too many, is not understood as a whole.
pub fn all(text: &str) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    let mut from = 0;
    if text.len() > BYTES_MAX || text.matches("${{").count() > COUNT_MAX {
        return vec![Found { at: 0, inner: "", expr: None }];
    }
    while let Some(at) = text[from..].find("${{").map(|at| from + at) {
        let start = at + 3;
        let Some(length) = closing(&text[start..]) else {
            found.push(Found { at, inner: &text[start..], expr: None });
            break;
        };
        let inner = &text[start..start + length];
        found.push(Found { at, inner, expr: parse(inner) });
        from = start + length + 2;
    }
    found
}

/// Where `}}` stands outside of a string; else, in a text whose quotes do not match, wherever it stands.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut quoted) = (0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\'' => quoted = !quoted,
            b'}' if !quoted && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    text.find("}}")
}

/// Reads one expression; `None`: it is not understood.
pub fn parse(text: &str) -> Option<Expr> {
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens: &tokens, depth: 0 };
    let expr = reader.either(0)?;
    reader.tokens.is_empty().then_some(expr)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Number,
    Sign(&'static str),
}

const SIGNS: &[&str] = &["&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ".", ",", "*"];

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Some(found) };
        let length = |of: fn(char) -> bool| rest.find(|c: char| !of(c)).unwrap_or(rest.len());
        if first == '\'' {
            let (word, after) = quoted(&rest[1..])?;
            found.push(Token::Text(word));
            rest = after;
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = length(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
            found.push(Token::Word(rest[..end].to_ascii_lowercase()));
            rest = &rest[end..];
        } else if first.is_ascii_digit() || matches!(first, '-' | '+') {
            found.push(Token::Number);
            rest = &rest[length(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+')).max(1)..];
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign))?;
            found.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        }
    }
}

/// A string up to its closing quote, in which two quotes stand for one; and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('\'')?;
        word += before;
        match after.strip_prefix('\'') {
            Some(more) => {
                word.push('\'');
                rest = more;
            }
            None => return Some((word, after)),
        }
    }
}

struct Reader<'t> {
    tokens: &'t [Token],
    depth: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first.clone())
    }

    /// Takes one of these signs, if it is next.
    fn sign(&mut self, any: &[&str]) -> Option<&'static str> {
        let Some(Token::Sign(sign)) = self.tokens.first() else { return None };
        let found = any.contains(sign).then_some(*sign)?;
        self.tokens = &self.tokens[1..];
        Some(found)
    }

    /// `||` (level 0), `&&`, `==`, `<` and, within them, what binds more closely.
    fn either(&mut self, level: usize) -> Option<Expr> {
        const LEVELS: &[&[&str]] = &[&["||"], &["&&"], &["==", "!="], &["<", "<=", ">", ">="]];
        let Some(signs) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.either(level + 1)?;
        while let Some(sign) = self.sign(signs) {
            let right = self.either(level + 1)?;
            left = match sign {
                "||" | "&&" => Expr::Either(sign == "&&", Box::new(left), Box::new(right)),
                "==" | "!=" => Expr::Equal(sign == "==", Box::new(left), Box::new(right)),
                _ => Expr::Decision(vec![left, right]),
            };
        }
        Some(left)
    }

    fn unary(&mut self) -> Option<Expr> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let found = if self.sign(&["!"]).is_some() {
            self.unary().map(|inner| Expr::Decision(vec![inner]))
        } else {
            self.value()
        };
        self.depth -= 1;
        found
    }

    fn value(&mut self) -> Option<Expr> {
        let value = match self.next()? {
            Token::Number => Expr::Constant,
            Token::Text(text) => Expr::Text(text),
            Token::Word(word) if self.sign(&["("]).is_some() => Expr::Call(word, self.arguments()?),
            Token::Word(word) => match word.as_str() {
                "true" | "false" | "null" | "nan" | "infinity" => Expr::Constant,
                name if FORGE_CONTEXTS.contains(&name) => Expr::Context(vec![Part::Name("github".into())], Vec::new()),
                name => Expr::Context(vec![Part::Name(name.to_owned())], Vec::new()),
            },
            Token::Sign("(") => {
                let inner = self.either(0)?;
                self.sign(&[")"])?;
                inner
            }
            Token::Sign(_) => return None,
        };
        self.steps(value)
    }

    fn arguments(&mut self) -> Option<Vec<Expr>> {
        let mut all = Vec::new();
        if self.sign(&[")"]).is_some() {
            return Some(all);
        }
        loop {
            all.push(self.either(0)?);
            if self.sign(&[",", ")"])? == ")" {
                return Some(all);
            }
        }
    }

    /// `.name`, `.*`, `[index]`: of a context they lengthen its path, of anything else they are a part of its value.
    fn steps(&mut self, mut value: Expr) -> Option<Expr> {
        while let Some(sign) = self.sign(&[".", "["]) {
            let (part, inner) = if sign == "." {
                match self.next()? {
                    Token::Word(word) => (Part::Name(word), None),
                    Token::Sign("*") => (Part::Any, None),
                    Token::Sign(_) | Token::Text(_) | Token::Number => return None,
                }
            } else if self.sign(&["*"]).is_some() {
                self.sign(&["]"])?;
                (Part::Any, None)
            } else {
                let inner = self.either(0)?;
                self.sign(&["]"])?;
                if let Expr::Text(text) = inner {
                    (Part::Name(text.to_lowercase()), None)
                } else {
                    (Part::Any, Some(inner))
                }
            };
            if let Expr::Context(path, indices) = &mut value {
                path.push(part);
                indices.extend(inner);
            } else {
                value = Expr::Call(String::new(), [value].into_iter().chain(inner).collect());
            }
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flows(text: &str) -> Vec<String> {
        let expr = parse(text).unwrap_or_else(|| panic!("not understood: {text}"));
        expr.flows().into_iter().map(|path| written(path)).collect()
    }

    #[test]
    fn every_form_of_a_context_is_found() {
        for form in [
            "github.event.pull_request.title",
            "GitHub.Event.Pull_Request.TITLE",
            "forge.event.pull_request.title",
            "forgejo['event'].pull_request['title']",
            "gitea['event']['pull_request']['Title']",
            "(github.event).pull_request.title",
            "format('{0}', github.event.pull_request.title)",
            "inputs.x == 'a' && github.event.pull_request.title || 'it''s'",
            "toJSON(fromJSON(github.event.pull_request.title))",
            "true && github.event.pull_request.title",
        ] {
            assert_eq!(flows(form), ["github.event.pull_request.title"], "{form}");
        }
        assert_eq!(flows("join(github.event.commits.*.message, ' ')"), ["github.event.commits.*.message"]);
        assert_eq!(flows("github.event.commits[0].message"), ["github.event.commits.*.message"]);
        assert_eq!(flows("github.event[inputs.key]"), ["github.event.*"]);
        assert_eq!(flows("github.event.commits[*].message"), ["github.event.commits.*.message"]);
        assert_eq!(flows("fromJSON(inputs.x).y[0]"), ["inputs.x"]);
        assert_eq!(flows("a || b"), ["a", "b"]);
    }

    #[test]
    fn comparison_result_carries_no_text() {
        for form in [
            "github.ref == 'refs/heads/main'",
            "contains(github.event.pull_request.title, '[skip]')",
            "!inputs.dry",
            "startsWith(github.head_ref, 'x') && 'yes' || 'no'",
            "inputs.count > 3",
            "-1.5e3",
            "success()",
        ] {
            assert_eq!(flows(form), [] as [&str; 0], "{form}");
        }
        assert_eq!(parse("github.ref == inputs.x").unwrap().mentions().len(), 2);
        assert_eq!(parse("a && (b || c) && d").unwrap().demands().len(), 3);
    }

    #[test]
    fn expressions_end_outside_of_strings() {
        let found = all("a ${{ format('}}{0}', inputs.x) }} b ${{ github.sha }} ${{ open");
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].expr.as_ref().unwrap().flows().len(), 1);
        assert_eq!((found[1].inner, found[1].at), (" github.sha ", 37));
        assert_eq!(found[2].expr, None);
        for bad in ["", "a b", "a.", "'open", "f(a", "a[b", "a = b", "\"x\"", "$x", "a ==", "(a", "a[]", "é"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse(&"(".repeat(100_000)), None);
        assert_eq!(parse(&"!".repeat(100_000)), None);
        assert_eq!(parse(&"a[".repeat(100_000)), None);
    }
}
