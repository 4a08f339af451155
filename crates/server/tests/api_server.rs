//! The server as a whole, over a real socket.

use std::net::SocketAddr;
use std::path::Path;

use server::config::{Config, RateLimit};
use server::{Running, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn config(dir: &Path) -> Config {
    Config {
        data_dir: dir.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        link_socket: dir.join("link.sock"),
        rate_limit: RateLimit::Default,
        public_url: None,
        samples: server::samples::Limits::default(),
        host_name: "host1".into(),
    }
}

async fn start(dir: &Path, secret: Option<&str>) -> Running {
    Server::start(config(dir), secret.map(str::to_owned)).await.unwrap()
}

/// One request on a connection of its own; what comes back until the other end closes.
async fn say(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn token(running: &Running) -> String {
    let credentials = &running.credentials;
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        credentials.client_id, credentials.client_secret
    );
    let answer = say(
        running.address,
        &format!(
            "POST /{}/oauth2/v2.0/token HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{form}",
            running.organization,
            form.len()
        ),
    )
    .await;
    let (_, rest) = answer.split_once(r#""access_token":""#).unwrap_or_else(|| panic!("{answer}"));
    rest.split('"').next().unwrap().to_owned()
}

async fn get(address: SocketAddr, path: &str, token: &str) -> String {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    say(address, &request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_and_a_call_over_the_wire() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), None).await;
    let token = token(&running).await;
    let answer = get(running.address, "/API/machines/", &token).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: application/json\r\n"));
    assert!(answer.contains(r##""@odata.context":"http://h:1/api/$metadata#Machines""##));
    assert!(answer.contains(&format!(r#""id":"{}""#, running.machine)));
    assert!(answer.contains(r#""healthStatus":"Inactive""#));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_changes_nothing_that_callers_hold() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(dir.path(), None).await;
    let (organization, machine, credentials) = (first.organization, first.machine, first.credentials.clone());
    let old = token(&first).await;
    first.stop().await;
    assert!(!dir.path().join("link.sock").exists());
    let second = start(dir.path(), Some(&credentials.client_secret)).await;
    assert_eq!((second.organization, second.machine), (organization, machine));
    assert_eq!(second.credentials, credentials);
    assert!(get(second.address, "/api/machines", &old).await.starts_with("HTTP/1.1 200 "));
    second.stop().await;
    let lost = start(dir.path(), None).await;
    assert_eq!(lost.credentials.client_id, credentials.client_id);
    assert_ne!(lost.credentials.client_secret, credentials.client_secret);
    token(&lost).await;
    lost.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_stop_nobody_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), None).await;
    let address = running.address;
    let mut idle = TcpStream::connect(address).await.unwrap();
    running.stop().await;
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_behind_a_proxy_are_told_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let public_url = Some("https://quell.example.test/".to_owned());
    let running = Server::start(Config { public_url, ..config(dir.path()) }, None).await.unwrap();
    let token = token(&running).await;
    let answer = get(running.address, "/api/machines", &token).await;
    assert!(answer.contains(r##""https://quell.example.test/api/$metadata#Machines""##), "{answer}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_open_network_is_refused_without_tls() {
    let dir = tempfile::tempdir().unwrap();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let config = Config { listen: listen.parse().unwrap(), ..config(dir.path()) };
        let error = Server::start(config, None).await.err().unwrap().to_string();
        assert!(error.contains("loopback") && error.contains("--public-url"), "{error}");
    }
    assert!(!dir.path().join("quell.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let error = Server::start(Config { listen, ..config(dir.path()) }, None).await.err().unwrap();
    assert!(format!("{error:#}").contains(&listen.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_no_http_is_shown_out() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), None).await;
    assert!(say(running.address, "what?\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(1 << 20));
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    // The other end may close while we still write.
    let _ = stream.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 2"));
    running.stop().await;
}

fn import(token: &str, framing: &str) -> String {
    format!(
        "PUT /api/quell/lists/feed?as=Malware&comment=c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\n{framing}\r\n\r\n"
    )
}

fn entries(of: std::ops::Range<u32>) -> String {
    of.map(|number| format!("{number:064x}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_counts_at_its_end_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), None).await;
    let token = token(&running).await;
    let one = entries(0..3000);
    let whole =
        format!("{}{:x}\r\n{one}\r\n0\r\n\r\n", import(&token, "Transfer-Encoding: chunked"), one.len());
    let answer = say(running.address, &whole).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(r#""entries":3000"#), "{answer}");

    // Cut off, by whichever way of saying how long it is; also after so much that a part is on the disk.
    let two = entries(5000..9000);
    for framing in ["Transfer-Encoding: chunked", "Content-Length: 9999999"] {
        let begin = import(&token, framing);
        let piece =
            if framing.starts_with('T') { format!("{:x}\r\n{two}\r\n", two.len()) } else { two.clone() };
        // While it comes, nobody else's does.
        let busy = async || say(running.address, &whole).await;
        loop {
            let mut stream = TcpStream::connect(running.address).await.unwrap();
            stream.write_all(format!("{begin}{piece}").as_bytes()).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            if busy().await.starts_with("HTTP/1.1 409 ") {
                break;
            }
        }
        let coming = dir.path().join("lists/coming");
        let mut left = usize::MAX;
        for _ in 0..200 {
            left = std::fs::read_dir(&coming).unwrap().count();
            if left == 0 && busy().await.starts_with("HTTP/1.1 200 ") {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(left, 0, "{framing}");
        let list = get(running.address, "/api/quell/lists/feed", &token).await;
        assert!(list.contains(r#""entries":3000"#), "{framing}: {list}");
    }

    // Who may not is told so before a byte is asked for.
    let request = import("none", "Expect: 100-continue\r\nTransfer-Encoding: chunked");
    assert!(say(running.address, &request).await.starts_with("HTTP/1.1 401 "));
    // What ends the reading is told after all was taken.
    let broken = format!("[\"{}\n{}", "a".repeat(2 << 20), "b".repeat(4 << 20));
    let request = format!("{}{broken}", import(&token, &format!("Content-Length: {}", broken.len())));
    let answer = say(running.address, &request).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("1 MiB"), "{answer}");
    running.stop().await;
}
