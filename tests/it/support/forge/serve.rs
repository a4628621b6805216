//! A connection: requests, the faults that they meet, answers.
#![expect(clippy::wildcard_enum_match_arm, reason = "faults of one kind are answered in one place")]

use std::{
    io::Write as _,
    net::TcpStream,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    api,
    fault::Fault,
    git,
    http::{self, Request, Response},
    world::{Seen, World},
};

pub(super) fn serve(world: &Mutex<World>, mut stream: TcpStream, stop: &AtomicBool) {
    while let Some(mut request) = http::head(&stream, stop) {
        let (fault, index) = {
            let mut world = world.lock().unwrap();
            let seen = Seen {
                method: request.method.clone(),
                path: request.target.clone(),
                auth: request.auth(),
                body: String::new(),
                status: 0,
            };
            world.seen.push(seen);
            (world.fault_for(&request.target), world.seen.len() - 1)
        };
        match fault {
            // The head is still unread, so the kernel sends a reset.
            Some(Fault::Reset) => return,
            Some(Fault::Hang) => {
                while !stop.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(20));
                }
                return;
            }
            _ => {}
        }
        if http::body(&mut stream, &mut request).is_err() {
            return;
        }
        let response = fault.as_ref().and_then(|fault| instead(world, &request, fault));
        let response = response.unwrap_or_else(|| answer(world, &request));
        if let Some(seen) = world.lock().unwrap().seen.get_mut(index) {
            seen.body = String::from_utf8_lossy(&request.body).into_owned();
            seen.status = response.status;
        }
        let sent = match fault {
            Some(Fault::Drip(pause)) => drip(&mut stream, &response, pause, stop),
            Some(Fault::Truncated) => {
                drop(stream.write_all(&response.head(response.body.len())));
                drop(stream.write_all(&response.body[..response.body.len() / 2]));
                return;
            }
            Some(fault) => marred(response, &fault).send(&mut stream),
            None => response.send(&mut stream),
        };
        if sent.is_err() {
            return;
        }
    }
}

fn answer(world: &Mutex<World>, request: &Request) -> Response {
    if request.path().starts_with("/api/v1/") {
        return api::answer(&mut world.lock().unwrap(), request);
    }
    git::answer(world, request).unwrap_or_else(|| Response::new(404, "text/html; charset=utf-8", "<h1>404</h1>"))
}

fn drip(stream: &mut TcpStream, response: &Response, pause: Duration, stop: &AtomicBool) -> std::io::Result<()> {
    stream.write_all(&response.head(response.body.len()))?;
    for byte in &response.body {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        stream.write_all(&[*byte])?;
        thread::sleep(pause);
    }
    Ok(())
}

/// The answer of a fault that takes the place of the real one.
fn instead(world: &Mutex<World>, request: &Request, fault: &Fault) -> Option<Response> {
    let world = world.lock().unwrap();
    let api = request.path().starts_with("/api/v1/");
    let says = |status: u16, message: String| {
        if api {
            let url = format!("{}/api/swagger", world.base);
            return Response::json(status, &json!({"message": message, "url": url}));
        }
        Response::new(status, "text/plain; charset=utf-8", message)
    };
    let page = |status: u16, title: &str| {
        let page =
            format!("<html>\r\n<head><title>{title}</title></head>\r\n<body><h1>{title}</h1></body>\r\n</html>\r\n");
        Response::new(status, "text/html", page)
    };
    Some(match fault {
        Fault::Repeats(status) => {
            let sent = request.auth();
            // A stranger is answered as always, so that it tries again with a token.
            let secret = sent.secret()?;
            let response = says(*status, format!("access token does not exist [sha: {secret}]"));
            if *status == 401 && !api { response.with("WWW-Authenticate", "Basic realm=\"Gitea\"") } else { response }
        }
        Fault::Scope(scope) => says(403, format!("token does not have at least one of required scope(s): [{scope}]")),
        Fault::NotFound => says(404, "The target couldn't be found.".to_owned()),
        Fault::Renamed => {
            let (was, new) = (world.full_name(), format!("{}/renamed", world.owner));
            let location = request.target.replacen(&was, &new, 1);
            page(301, "Moved Permanently").with("Location", location)
        }
        Fault::Elsewhere(base) => page(302, "Found").with("Location", format!("{base}{}", request.target)),
        Fault::Archived => says(423, format!("<Repository {}:{}> is archived", world.id, world.full_name())),
        Fault::TooMany(seconds) => page(429, "429 Too Many Requests").with("Retry-After", seconds),
        Fault::Unavailable(seconds) => page(503, "503 Service Unavailable").with("Retry-After", seconds),
        Fault::Status(status) => says(*status, String::new()),
        Fault::BadGateway => page(502, "502 Bad Gateway"),
        Fault::Html => page(200, "Please sign in"),
        Fault::Huge(size) => {
            let mut body = vec![b' '; *size];
            (body[0], body[size - 1]) = (b'[', b']');
            Response::new(200, "application/json;charset=utf-8", body)
        }
        Fault::Nested(depth) => {
            let body = "[".repeat(*depth) + &"]".repeat(*depth);
            Response::new(200, "application/json;charset=utf-8", body)
        }
        Fault::Says(status, Value::String(text)) => Response::new(*status, "text/plain; charset=utf-8", text.as_str()),
        Fault::Says(status, body) => Response::json(*status, body),
        _ => return None,
    })
}

/// The real answer with what a fault does to it.
fn marred(mut response: Response, fault: &Fault) -> Response {
    let after = |body: &[u8], at: Option<usize>, more: &[u8]| {
        let at = at.unwrap_or(0);
        [&body[..at], more, &body[at..]].concat()
    };
    match fault {
        Fault::ContentType(kind) => response = response.with("Content-Type", kind),
        Fault::Duplicate(member) => {
            let end = response.body.iter().rposition(|byte| *byte == b'}');
            response.body = after(&response.body, end, format!(",{member}").as_bytes());
        }
        Fault::NotUtf8 => {
            let text = response.body.windows(3).position(|three| three == b"\":\"").map(|at| at + 3);
            response.body = after(&response.body, text, b"\xff");
        }
        Fault::Edit(change) => {
            let mut body: Value = serde_json::from_slice(&response.body).unwrap();
            change(&mut body);
            response.body = body.to_string().into_bytes();
        }
        _ => {}
    }
    response
}
