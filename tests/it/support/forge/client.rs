//! Asks the server as a test does: one request, the whole answer.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::Forge;

/// An answer, as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(is, _)| is.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Forge {
    /// `GET /api/v1` and this, as somebody with a token or as nobody.
    pub(crate) fn get(&self, path: &str, token: Option<&str>) -> Reply {
        self.send("GET", path, token, None).unwrap()
    }

    /// The same with another method and a body.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> std::io::Result<Reply> {
        let auth = token.map(|token| format!("Authorization: token {token}\r\n")).unwrap_or_default();
        let body = body.map(Value::to_string).unwrap_or_default();
        let head =
            format!("{method} /api/v1{path} HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: {}\r\n\r\n", body.len());
        let mut stream = TcpStream::connect(self.base().trim_start_matches("http://"))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(format!("{head}{body}").as_bytes())?;
        let (mut head, mut byte) = (vec![], [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut reply = Reply { status: head[9..12].parse().unwrap(), head, bytes: vec![] };
        reply.bytes = vec![0; reply.header("content-length").unwrap().parse().unwrap()];
        let begun = Instant::now();
        let mut had = 0;
        while had < reply.bytes.len() {
            match stream.read(&mut reply.bytes[had..])? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                more => had += more,
            }
            if begun.elapsed() > Duration::from_secs(2) {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        Ok(reply)
    }
}
