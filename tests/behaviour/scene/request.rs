//! Requests as bytes, for what no phone would send.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::write::GzEncoder;

/// An EAS request of hew's phone "Raw1": its query is what is given and the usual rest.
pub fn eas(command: &str) -> Request {
    let target = format!("/Microsoft-Server-ActiveSync?Cmd={command}&User=hew&DeviceId=Raw1&DeviceType=SmartPhone");
    http("POST", &target).header("MS-ASProtocolVersion", "14.1").header("Content-Type", "application/vnd.ms-sync.wbxml")
}

/// Any request, with hew's credentials.
pub fn http(method: &str, target: &str) -> Request {
    let request = Request { line: format!("{method} {target} HTTP/1.1"), headers: Vec::new(), body: None };
    let credential = BASE64.encode("hew:test");
    request.header("Host", "localhost").header("Authorization", &format!("Basic {credential}"))
}

#[derive(Clone)]
pub struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    /// Sets a header: another of the same name goes.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    pub fn user(self, user: &str, password: &str) -> Self {
        self.header("Authorization", &format!("Basic {}", BASE64.encode(format!("{user}:{password}"))))
    }

    pub fn version(self, version: &str) -> Self {
        self.header("MS-ASProtocolVersion", version)
    }

    /// Another device than Raw1.
    pub fn device(mut self, id: &str) -> Self {
        self.line = self.line.replace("DeviceId=Raw1", &format!("DeviceId={id}"));
        self
    }

    pub fn http10(mut self) -> Self {
        self.line = self.line.replace("HTTP/1.1", "HTTP/1.0");
        self
    }

    /// With its Content-Length.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let mut request = self.header("Content-Length", &body.len().to_string());
        request.body = Some(body);
        request
    }

    /// The body packed with gzip.
    pub fn gzip(self, body: &[u8]) -> Self {
        self.header("Content-Encoding", "gzip").body(gzip(body))
    }

    /// Only line and headers.
    pub fn head(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        (text + "\r\n").into_bytes()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }
}

impl From<Request> for Vec<u8> {
    fn from(request: Request) -> Self {
        request.bytes()
    }
}

impl From<&Request> for Vec<u8> {
    fn from(request: &Request) -> Self {
        request.bytes()
    }
}

pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// The bytes of a file of `tests/vectors`, by the beginning of its name.
pub fn vector(prefix: &str) -> Vec<u8> {
    let (_, bytes) = vectors(prefix).into_iter().next().unwrap_or_else(|| panic!("no vector {prefix}"));
    bytes
}

/// Name and bytes of all vectors whose names begin so, by name.
pub fn vectors(prefix: &str) -> Vec<(String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|ending| ending == "wbxml"));
    let named = paths.map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path));
    let mut found: Vec<_> =
        named.filter(|(name, _)| name.starts_with(prefix)).map(|(name, path)| (name, std::fs::read(path).unwrap())).collect();
    found.sort();
    found
}
