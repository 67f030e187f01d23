//! What a lot thread keeps of a connection: plain data, about 150 bytes, no task, no buffers, no HTTP state.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, request};
use zeroize::Zeroizing;

use super::client_certificate::Certificate;
use super::crowd::Stranger;
use super::tls::{Received, Wire};
use crate::logic::hold::Moment;

/// Who is on the other side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The device's address: the socket's, or what a trusted balancer said.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
    /// A trusted balancer speaks for the device in `X-Forwarded-For`.
    pub trusts_forwarded: bool,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::net::SocketAddr::new(self.ip, self.port).fmt(f)
    }
}

/// A connection without a task.
pub struct Parked {
    /// The socket, registered with the lot thread's poller.
    pub stream: mio::net::TcpStream,
    /// Its keys.
    pub wire: Wire,
    /// What came early.
    pub received: Received,
    /// Rarely needed, so behind a pointer.
    pub extra: Option<Box<Extra>>,
    /// The other side.
    pub peer: Peer,
    /// To be closed after the answer.
    pub closes: bool,
}

impl Parked {
    /// Whether the request it holds is a hanging Sync.
    pub(crate) fn is_sync(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.sync.is_some())
    }

    /// Recipe and password are of no use any more; what belongs to the connection stays.
    pub(crate) fn forget_request(&mut self) {
        let certificate = self.extra.take().and_then(|extra| extra.certificate);
        self.extra = certificate.map(|certificate| Box::new(Extra { certificate: Some(certificate), ..Extra::default() }));
    }
}

/// What only some parked connections have.
#[derive(Default)]
pub struct Extra {
    /// Sealed bytes that the socket has not taken; never sealed again.
    pub unsent: Vec<u8>,
    /// How to ask the backend on the device's behalf.
    pub recipe: Option<Recipe>,
    /// The hanging Sync that is held; its recipe is above.
    pub sync: Option<HeldSync>,
    /// Counts an idle connection of somebody whom the backend does not know.
    pub(super) stranger: Option<Stranger>,
    /// The device's, where devices have some.
    pub(super) certificate: Option<Certificate>,
}

/// A hanging Sync, to be asked again.
#[derive(Debug, Clone)]
pub struct HeldSync {
    /// The full request, with its wait, without what the device changed.
    pub body: Arc<[u8]>,
    /// Its wait, seconds.
    pub wait_s: u32,
    /// When it came: the wait counts from here.
    pub received: Moment,
}

/// The parts of a head that a check, or a Sync asked again, repeats: path, query and a few headers, in one allocation, wiped when dropped.
pub struct Recipe(Zeroizing<Box<[u8]>>);

/// Headers that a backend may need to see again.
static REPEATED: [HeaderName; 9] = [
    AUTHORIZATION,
    HOST,
    USER_AGENT,
    COOKIE,
    ACCEPT_LANGUAGE,
    HeaderName::from_static("ms-asprotocolversion"),
    HeaderName::from_static("x-ms-policykey"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("client-cert"),
];

impl Recipe {
    /// Packs a head.
    pub fn new(head: &request::Parts) -> Self {
        let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let present = |name: &HeaderName| head.headers.get(name).map(HeaderValue::as_bytes);
        let length = target.len() + REPEATED.iter().filter_map(present).map(|v| v.len() + 2).sum::<usize>();
        // The exact size from the start: a vector that grows would leave copies of the password behind.
        let mut packed = Vec::with_capacity(length);
        packed.extend_from_slice(target.as_bytes());
        for (index, value) in REPEATED.iter().enumerate().filter_map(|(i, name)| Some((i, present(name)?))) {
            // Neither a path nor a header value can hold a line feed.
            packed.push(b'\n');
            packed.push(index as u8);
            packed.extend_from_slice(value);
        }
        Recipe(Zeroizing::new(packed.into_boxed_slice()))
    }

    /// The request again, as a device would send it: a POST without its body.
    pub fn write_head(&self, closes: bool) -> Zeroizing<Vec<u8>> {
        const REST_BYTES: usize = 128;
        let names: usize = REPEATED.iter().map(|name| name.as_str().len() + 4).sum();
        // The exact room from the start, as above.
        let mut head = Zeroizing::new(Vec::with_capacity(self.0.len() + names + REST_BYTES));
        let mut lines = self.0.split(|byte| *byte == b'\n');
        head.extend_from_slice(b"POST ");
        head.extend_from_slice(lines.next().unwrap_or(b"/"));
        // Without Host it was HTTP/1.0.
        let host = REPEATED.iter().position(|name| *name == HOST).and_then(|index| u8::try_from(index).ok());
        let has_host = lines.clone().any(|line| line.first().copied() == host);
        head.extend_from_slice(if has_host { b" HTTP/1.1\r\n" } else { b" HTTP/1.0\r\n" });
        head.extend_from_slice(b"Content-Length: 0\r\n");
        for (index, value) in lines.filter_map(<[u8]>::split_first) {
            let Some(name) = REPEATED.get(usize::from(*index)) else { continue };
            for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
                head.extend_from_slice(part);
            }
        }
        head.extend_from_slice(if closes { b"Connection: close\r\n\r\n" } else { b"\r\n" });
        head
    }

    /// Target and headers as they were.
    pub fn unpack(&self) -> (PathAndQuery, HeaderMap) {
        let mut lines = self.0.split(|byte| *byte == b'\n');
        let target = lines.next().and_then(|line| PathAndQuery::try_from(line).ok());
        let mut headers = HeaderMap::new();
        for (index, value) in lines.filter_map(<[u8]>::split_first) {
            if let (Some(name), Ok(mut value)) = (REPEATED.get(usize::from(*index)), HeaderValue::from_bytes(value)) {
                value.set_sensitive(*name == AUTHORIZATION || *name == COOKIE);
                headers.insert(name.clone(), value);
            }
        }
        (target.unwrap_or_else(|| PathAndQuery::from_static("/")), headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::hold::Lot;

    #[test]
    fn a_slot_with_its_keys_stays_within_its_budget() {
        // mio keeps the number of a socket's poller beside it when debug assertions are on.
        let debug_bytes = if cfg!(debug_assertions) { 8 } else { 0 };
        let (parked, slot) = (size_of::<Parked>(), Lot::<Parked>::SLOT_BYTES);
        assert!(parked <= 152 + debug_bytes, "a parked connection takes {parked} bytes");
        assert!(slot <= 192 + debug_bytes, "a slot takes {slot} bytes");
    }

    #[test]
    fn a_recipe_gives_back_what_it_packed() {
        let request = http::Request::post("/Microsoft-Server-ActiveSync?Cmd=Ping&User=hew")
            .header("Authorization", "Basic aGV3OnRlc3Q=")
            .header("MS-ASProtocolVersion", "14.1")
            .header("Accept-Encoding", "gzip");
        let (head, ()) = request.body(()).expect("a request").into_parts();
        let (target, headers) = Recipe::new(&head).unpack();
        assert_eq!(target, "/Microsoft-Server-ActiveSync?Cmd=Ping&User=hew");
        assert_eq!(headers.len(), 2);
        assert_eq!(headers["authorization"], "Basic aGV3OnRlc3Q=");
        assert!(headers["authorization"].is_sensitive());
        assert!(Recipe::new(&head).write_head(true).starts_with(b"POST /Microsoft-Server-ActiveSync?Cmd=Ping&User=hew HTTP/1.0\r\n"));
    }
}
