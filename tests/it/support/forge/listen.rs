//! Listeners on ports of their own, which stop when they are dropped.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use serde_json::json;

use super::http::{self, Auth, Response};

/// Another host, which records what it is sent. It answers 200 with `{}`, and asks git for a login.
pub(crate) struct Elsewhere {
    listening: Listening,
    seen: Arc<Mutex<Vec<(String, Auth)>>>,
}

impl Elsewhere {
    pub(crate) fn start() -> Self {
        let seen = Arc::new(Mutex::new(vec![]));
        let shared = seen.clone();
        let listening = Listening::start(move |mut stream, stop| {
            while let Some(mut request) = http::head(&stream, stop) {
                shared.lock().unwrap().push((request.target.clone(), request.auth()));
                if http::body(&mut stream, &mut request).is_err() {
                    return;
                }
                let login = Response::new(401, "text/plain", "").with("WWW-Authenticate", "Basic realm=\"Elsewhere\"");
                let git = request.path().ends_with("/info/refs");
                let answer = if git { login } else { Response::json(200, &json!({})) };
                drop(answer.send(&mut stream));
            }
        });
        Self { listening, seen }
    }

    pub(crate) fn base(&self) -> String {
        // Not the name of the other server, for clients that compare hosts and not ports.
        format!("http://localhost:{}", self.listening.address.port())
    }

    /// Path and credential of each request that it got.
    pub(crate) fn requests(&self) -> Vec<(String, Auth)> {
        self.seen.lock().unwrap().clone()
    }
}

/// A listener on a port of its own, with a thread for each connection.
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    stop: Arc<AtomicBool>,
    accepts: Option<JoinHandle<()>>,
}

impl Listening {
    pub(super) fn start(serve: impl Fn(TcpStream, &AtomicBool) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (stops, serve) = (stop.clone(), Arc::new(serve));
        let accepts = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stops.load(Ordering::Relaxed) {
                    return;
                }
                let (serve, stop) = (serve.clone(), stops.clone());
                drop(stream.set_nodelay(true));
                thread::spawn(move || serve(stream, &stop));
            }
        });
        Self { address, stop, accepts: Some(accepts) }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        drop(self.accepts.take().map(JoinHandle::join));
    }
}
