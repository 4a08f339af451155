//! HTTP exactly as it is written: no header is added that a case does not ask for, save `Host` and length.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    head: String,
    body: Option<Vec<u8>>,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self { head: format!("{method} {path} HTTP/1.1\r\nHost: quell.test:8080\r\n"), body: None }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let length = self.body.as_ref().map(|body| format!("Content-Length: {}\r\n", body.len()));
        let mut bytes = format!("{}{}\r\n", self.head, length.unwrap_or_default()).into_bytes();
        bytes.extend(self.body.iter().flatten());
        bytes
    }

    /// Sent on a connection of its own.
    pub(crate) fn send(&self, address: &str) -> Answer {
        Connection::open(address).ask(self)
    }
}

/// An open connection.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        Self(BufReader::new(stream))
    }

    /// Writes bytes as they are. That the other end has closed shows when the answer is read.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.0.get_mut().write_all(bytes);
    }

    pub(crate) fn ask(&mut self, request: &Request) -> Answer {
        self.write(&request.bytes());
        self.answer()
    }

    /// All at once, without waiting for the answers in between.
    pub(crate) fn ask_all(&mut self, requests: &[Request]) -> Vec<Answer> {
        let bytes: Vec<u8> = requests.iter().flat_map(Request::bytes).collect();
        self.write(&bytes);
        requests.iter().map(|_| self.answer()).collect()
    }

    pub(crate) fn answer(&mut self) -> Answer {
        let status = self.line();
        let status = status.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.expect("a status line");
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, text: String::new() };
        let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("as much as was announced");
        answer.text = String::from_utf8(body).expect("UTF-8");
        answer
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer in time");
        line.trim_end().to_owned()
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    headers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The answer is of that status, and labelled JSON.
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/json"));
        self.json()
    }

    /// Refused so, in the envelope: three texts, none empty, compact, the target a GUID.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, code: &str) -> String {
        let json = self.is(status);
        let error = json["error"].as_object().unwrap_or_else(|| panic!("an envelope: {}", self.text));
        assert_eq!(error["code"], code, "{}", self.text);
        let [message, target] = ["message", "target"].map(|key| error[key].as_str().expect("a text"));
        assert!(!message.is_empty() && target.len() == 36, "{}", self.text);
        let compact = format!(r#"{{"error":{{"code":"{code}","message":"#);
        assert!(self.text.starts_with(&compact), "compact, and in this order: {}", self.text);
        message.to_owned()
    }
}
