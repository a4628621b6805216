//! Requests and answers of HTTP/1.1 on a socket.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread::sleep,
    time::Duration,
};

use serde_json::Value;

/// Who the request says it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    None,
    /// `Authorization: token …`
    Token(String),
    Bearer(String),
    Basic(String, String),
    /// Anything else, as it was sent.
    Other(String),
}

impl Auth {
    fn of(header: Option<&str>) -> Self {
        let Some(header) = header else { return Self::None };
        let (kind, value) = header.split_once(' ').unwrap_or((header, ""));
        match kind.to_ascii_lowercase().as_str() {
            "token" => Self::Token(value.to_owned()),
            "bearer" => Self::Bearer(value.to_owned()),
            "basic" => {
                let text = String::from_utf8_lossy(&base64(value)).into_owned();
                let (user, password) = text.split_once(':').unwrap_or((&text, ""));
                Self::Basic(user.to_owned(), password.to_owned())
            }
            _ => Self::Other(header.to_owned()),
        }
    }

    /// The secret in it: the password, or the user's name where the password is empty or a filler.
    pub(crate) fn secret(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Token(token) | Self::Bearer(token) | Self::Other(token) => Some(token),
            Self::Basic(user, password) if password.is_empty() || password == "x-oauth-basic" => Some(user),
            Self::Basic(_, password) => Some(password),
        }
    }
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let (mut out, mut bits, mut held) = (vec![], 0, 0);
    for value in text.bytes().filter_map(digit) {
        (bits, held) = (bits << 6 | value, held + 6);
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    out
}

pub(super) struct Request {
    pub(super) method: String,
    /// Path and query, as it was sent.
    pub(super) target: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    length: usize,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(is, _)| is.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub(super) fn query(&self, name: &str) -> Option<String> {
        let pairs = self.target.split_once('?')?.1;
        pairs.split('&').filter_map(|pair| pair.split_once('=')).find(|(is, _)| *is == name).map(|(_, v)| decoded(v))
    }

    pub(super) fn auth(&self) -> Auth {
        Auth::of(self.header("authorization"))
    }
}

/// Without percent signs.
pub(super) fn decoded(text: &str) -> String {
    let mut out = vec![];
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let code = (byte == b'%').then(|| [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')]);
        out.push(code.map_or(byte, |code| u8::from_str_radix(&String::from_utf8_lossy(&code), 16).unwrap_or(b'?')));
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The head of the next request. It stays unread in the socket, so that dropping the socket resets the connection.
pub(super) fn head(stream: &TcpStream, stop: &AtomicBool) -> Option<Request> {
    stream.set_read_timeout(Some(Duration::from_millis(100))).ok()?;
    let mut buffer = vec![0; 64 << 10];
    let length = loop {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        match stream.peek(&mut buffer) {
            Ok(0) => return None,
            Ok(had) => match buffer[..had].windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None if had == buffer.len() => return None,
                None => sleep(Duration::from_millis(1)),
            },
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => return None,
        }
    };
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    Some(Request { method, target, headers, body: vec![], length })
}

/// Reads what `head` left: the head and the body.
pub(super) fn body(stream: &mut TcpStream, request: &mut Request) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.read_exact(&mut vec![0; request.length])?;
    if request.header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if request.header("transfer-encoding").is_some_and(|kind| kind.eq_ignore_ascii_case("chunked")) {
        loop {
            let size = line(stream)?;
            let size = usize::from_str_radix(size.split(';').next().unwrap().trim(), 16).unwrap_or_default();
            let mut chunk = vec![0; size];
            stream.read_exact(&mut chunk)?;
            request.body.extend_from_slice(&chunk);
            line(stream)?;
            if size == 0 {
                return Ok(());
            }
        }
    }
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    stream.read_exact(&mut request.body)
}

fn line(stream: &mut TcpStream) -> std::io::Result<String> {
    let (mut line, mut byte) = (vec![], [0]);
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// What is answered.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("Content-Type".to_owned(), kind.to_owned())], body: body.into() }
    }

    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json;charset=utf-8", body.to_string())
    }

    pub(super) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.retain(|(is, _)| !is.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Status line and headers, for a body of this length.
    pub(super) fn head(&self, length: usize) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            201 => "Created",
            301 => "Moved Permanently",
            302 => "Found",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            423 => "Locked",
            429 => "Too Many Requests",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            _ => "Answer",
        };
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {length}\r\n\r\n"));
        head.into_bytes()
    }

    pub(super) fn send(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        stream.write_all(&self.head(self.body.len()))?;
        stream.write_all(&self.body)
    }
}
