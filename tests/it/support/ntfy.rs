//! A real ntfy server, and a receiver of webhooks that answers what a test wants.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::Value;

/// The access token that a guarded server takes.
pub(crate) const TOKEN: &str = "tk_3gd7d2yftt4b8ixyfe9mnmro88o76";

/// An ntfy server on a port of its own. It goes away with this value.
pub(crate) struct Ntfy {
    port: u16,
    dir: tempfile::TempDir,
    process: Child,
}

impl Drop for Ntfy {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Ntfy {
    /// A server that anybody may publish to.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// A server that only the holder of [`TOKEN`] may publish to.
    pub(crate) fn guarded() -> Self {
        // Of `ntfy user hash`, for a password that nobody uses.
        let hash = "$2a$10$y/EzBLceO45BlbLRK0PXd.UHdZ3/ibqzO38qEKUnHFugeN6V1f196";
        let server = format!(
            "auth-file: @DIR@/auth.db\nauth-default-access: read-only\nauth-users: [\"ola:{hash}:admin\"]\n\
             auth-tokens: [\"ola:{TOKEN}:test\"]\n"
        );
        Self::with(&server)
    }

    fn with(lines: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = dir.path().display().to_string();
        let config = format!(
            "listen-http: 127.0.0.1:{port}\nbase-url: http://127.0.0.1:{port}\ncache-file: @DIR@/cache.db\n\
             visitor-request-limit-exempt-hosts: 127.0.0.1\n{lines}"
        );
        fs::write(dir.path().join("server.yml"), config.replace("@DIR@", &place)).unwrap();
        let process = Self::spawn(dir.path());
        let server = Self { port, dir, process };
        server.answers();
        server
    }

    /// Debian's package, fetched once; a machine that cannot have it fails here.
    fn spawn(dir: &Path) -> Child {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ntfy");
        let made = Command::new(script).output().unwrap();
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "tests/ntfy cannot get an ntfy server: {said}");
        let program = String::from_utf8(made.stdout).unwrap();
        let log = fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", program.trim(), "serve", "--config"])
            .arg(dir.join("server.yml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn answers(&self) {
        for _ in 0..200 {
            if get(self.port, "/v1/health").is_some_and(|body| body.contains("true")) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the ntfy server does not answer: {}", fs::read_to_string(self.dir.path().join("log")).unwrap());
    }

    pub(crate) fn stop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }

    /// Starts again after [`Self::stop`], with what it had.
    pub(crate) fn again(&mut self) {
        self.process = Self::spawn(self.dir.path());
        self.answers();
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every message of a topic, the oldest first, as a phone gets it.
    pub(crate) fn messages(&self, topic: &str) -> Vec<Value> {
        let body = get(self.port, &format!("/{topic}/json?poll=1")).unwrap();
        body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The titles of these messages.
    pub(crate) fn titles(&self, topic: &str) -> Vec<String> {
        self.messages(topic).iter().map(|message| message["title"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

/// What a receiver got: the head of the request, and its body.
pub(crate) type Post = (String, String);

/// A receiver of webhooks, which answers each request with the same bytes.
pub(crate) struct Hook {
    port: u16,
    posts: Arc<Mutex<Vec<Post>>>,
}

impl Hook {
    /// One that takes everything.
    pub(crate) fn start() -> Self {
        Self::answering("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    }

    /// One that answers with these bytes; with none it never answers.
    pub(crate) fn answering(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, posts, answer) = (listener.local_addr().unwrap().port(), Arc::default(), answer.to_owned());
        let kept: Arc<Mutex<Vec<Post>>> = Arc::clone(&posts);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer) = (Arc::clone(&kept), answer.clone());
                thread::spawn(move || serve(stream, &kept, &answer));
            }
        });
        Self { port, posts }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, kept: &Mutex<Vec<Post>>, answer: &str) {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    let (head, body) = loop {
        let read = stream.read(&mut piece).unwrap_or(0);
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), body.to_owned());
            }
        }
        if read == 0 {
            return;
        }
    };
    kept.lock().unwrap().push((head, body));
    if answer.is_empty() {
        thread::sleep(Duration::from_secs(60));
    }
    drop(stream.write_all(answer.as_bytes()));
}
