//! Drives rustls through a handshake, of the server's side or of a device's, without a socket.
//!
//! In: ciphertext as it arrives. Out: ciphertext to send, and in the end the keys. rustls gets **one record at
//! a time**: given more, it would open records that are ours to open, and one that it answers (a KeyUpdate)
//! leaves the extracted keys a step ahead of what was sent.

use std::sync::{Arc, OnceLock};

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::kernel::KernelConnection;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConnectionData, UnbufferedServerConnection};
use rustls::sign::CertifiedKey;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{ClientConfig, HandshakeKind, InvalidMessage, ServerConfig};

use super::hello::prefers_chacha20;
use super::record::{HEADER_BYTES, Keys};

/// A handshake in progress.
pub(super) struct Handshake<S = ServerSide> {
    side: S,
    /// Append what the socket gives. Starts with what rustls has seen and still wants to see again.
    pub(super) incoming: Vec<u8>,
    /// How much of `incoming` rustls has seen: whole records.
    seen: usize,
    /// To be sent, whole, before the next [`Handshake::advance`] that follows [`Next::Send`].
    pub(super) outgoing: Vec<u8>,
    /// Bytes of records that rustls was given in all.
    given: usize,
}

/// What has to happen before the handshake can go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Send and clear `outgoing`, advance again.
    Send,
    /// Append to `incoming`, advance again.
    Receive,
    /// Everything is sent, session tickets too: [`Handshake::finish`].
    Finish,
}

/// What a finished handshake leaves.
pub(super) struct Finished {
    pub(super) keys: Keys,
    pub(super) server_name: Option<Box<str>>,
    pub(super) client_certificate: Option<CertificateDer<'static>>,
    pub(super) resumed: bool,
    /// Ciphertext behind the device's Finished: the record layer's to open.
    pub(super) early: Vec<u8>,
}

/// One end of a handshake: rustls has the same call twice.
pub(super) trait Side {
    type Data;
    fn process<'c, 'i>(&'c mut self, records: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
    fn wants_write(&self) -> bool;
}

/// Our end as a server.
pub(super) struct ServerSide {
    connection: UnbufferedServerConnection,
    resolver: Arc<NotingName>,
}

impl Side for ServerSide {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, records: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.connection.process_tls_records(records)
    }

    fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }
}

/// Our end as a device.
pub(super) struct DeviceSide(UnbufferedClientConnection);

impl Side for DeviceSide {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, records: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.0.process_tls_records(records)
    }

    fn wants_write(&self) -> bool {
        self.0.wants_write()
    }
}

/// What a device's finished handshake leaves.
pub(super) struct DeviceFinished {
    pub(super) keys: Keys,
    /// Takes session tickets, which come when they come.
    pub(super) kernel: KernelConnection<ClientConnectionData>,
    /// Ciphertext behind the server's Finished: the record layer's to open.
    pub(super) early: Vec<u8>,
}

impl Handshake<DeviceSide> {
    pub(super) fn of_device(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, rustls::Error> {
        let side = DeviceSide(UnbufferedClientConnection::new(config, name)?);
        Ok(Handshake { side, incoming: Vec::new(), seen: 0, outgoing: Vec::new(), given: 0 })
    }

    /// Takes the keys; of rustls only what takes tickets is left.
    pub(super) fn finish(self) -> Result<DeviceFinished, rustls::Error> {
        let Handshake { side: DeviceSide(connection), incoming, seen, .. } = self;
        if seen != 0 {
            return Err(data_behind_finished());
        }
        let (secrets, kernel) = connection.dangerous_into_kernel_connection()?;
        let keys = Keys::new(kernel.protocol_version(), &secrets).ok_or_else(foreign_suite)?;
        Ok(DeviceFinished { keys: keys.of_device(), kernel, early: incoming })
    }
}

fn data_behind_finished() -> rustls::Error {
    // A part of a handshake message came in the same record as Finished.
    rustls::Error::General("handshake data follows Finished in its record".into())
}

fn foreign_suite() -> rustls::Error {
    rustls::Error::General("the negotiated suite is not one of ours".into())
}

impl Handshake {
    /// `early` is what has come: the device's hello, or the first part of it.
    pub(super) fn new(config: &ServerConfig, early: Vec<u8>) -> Result<Self, rustls::Error> {
        let resolver = Arc::new(NotingName { inner: Arc::clone(&config.cert_resolver), name: OnceLock::new() });
        let mut config = config.clone();
        config.cert_resolver = Arc::clone(&resolver) as _;
        // Our order of suites, but for devices to which AES is expensive.
        config.ignore_client_order = !prefers_chacha20(&early);
        let connection = UnbufferedServerConnection::new(Arc::new(config))?;
        let side = ServerSide { connection, resolver };
        Ok(Handshake { side, incoming: early, seen: 0, outgoing: Vec::with_capacity(FLIGHT_BYTES), given: 0 })
    }

    /// Takes the keys; rustls ends here.
    pub(super) fn finish(self) -> Result<Finished, rustls::Error> {
        let Handshake { side: ServerSide { connection, resolver }, incoming, seen, .. } = self;
        if seen != 0 {
            return Err(data_behind_finished());
        }
        let server_name = resolver.name.get().cloned();
        let client_certificate = connection.peer_certificates().and_then(|chain| chain.first()).map(|leaf| leaf.clone().into_owned());
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        let (secrets, rest) = connection.dangerous_into_kernel_connection()?;
        let keys = Keys::new(rest.protocol_version(), &secrets).ok_or_else(foreign_suite)?;
        Ok(Finished { keys, server_name, client_certificate, resumed, early: incoming })
    }
}

impl<S: Side> Handshake<S> {
    /// One step. After an error, `outgoing` holds the alert for the device.
    pub(super) fn advance(&mut self) -> Result<Next, rustls::Error> {
        loop {
            match self.process(self.seen).inspect_err(|_| self.encode_alert())? {
                Processed::Again => {}
                Processed::Next(Next::Receive) => {
                    if !self.give_next_record()? {
                        return Ok(Next::Receive);
                    }
                }
                Processed::Next(next) => return Ok(next),
            }
        }
    }

    fn process(&mut self, seen: usize) -> Result<Processed, rustls::Error> {
        let UnbufferedStatus { discard, state } = self.side.process(&mut self.incoming[..seen]);
        let processed = match state? {
            ConnectionState::EncodeTlsData(data) => encode(data, &mut self.outgoing).map(|()| Processed::Again),
            ConnectionState::TransmitTlsData(transmit) => {
                transmit.done();
                Ok(Processed::Next(Next::Send))
            }
            ConnectionState::BlockedHandshake => Ok(Processed::Next(Next::Receive)),
            ConnectionState::WriteTraffic(_) => Ok(Processed::Next(Next::Finish)),
            // Data, early data (which we never offer) or close_notify, before the handshake is over.
            _ => Err(rustls::Error::HandshakeNotComplete),
        };
        self.incoming.drain(..discard);
        self.seen -= discard;
        processed
    }

    /// Lets rustls see one more record. False when it is not whole yet.
    fn give_next_record(&mut self) -> Result<bool, rustls::Error> {
        let next = &self.incoming[self.seen..];
        let &[kind, major, _, high, low, ..] = next else { return Ok(false) };
        let record_bytes = HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]));
        // rustls judges such a header without the rest of the record, and words the alert.
        let is_hopeless = !(20..=23).contains(&kind) || major != 3 || record_bytes > HEADER_BYTES + (1 << 14) + 2_048;
        if next.len() < record_bytes && !is_hopeless {
            return Ok(false);
        }
        let given = next.len().min(record_bytes);
        self.seen += given;
        self.given += given;
        if self.given > HANDSHAKE_BYTES_MAX {
            return Err(rustls::Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge));
        }
        if is_hopeless {
            self.process(self.seen).inspect_err(|_| self.encode_alert())?;
            return Err(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType));
        }
        Ok(true)
    }

    /// After an error rustls has its alert queued and gives it out first. It must not be asked for more: it would
    /// go on with the message that it refused.
    fn encode_alert(&mut self) {
        while self.side.wants_write() {
            let Ok(ConnectionState::EncodeTlsData(data)) = self.side.process(&mut []).state else { return };
            if encode(data, &mut self.outgoing).is_err() {
                return;
            }
        }
    }
}

/// Notes the host name in passing: this form of rustls's connection does not tell it.
#[derive(Debug)]
struct NotingName {
    inner: Arc<dyn ResolvesServerCert>,
    name: OnceLock<Box<str>>,
}

impl ResolvesServerCert for NotingName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(name) = hello.server_name() {
            // Called once a handshake, or a second time with the same name after HelloRetryRequest.
            let _ = self.name.set(name.into());
        }
        self.inner.resolve(hello)
    }
}

enum Processed {
    Again,
    Next(Next),
}

fn encode(mut data: EncodeTlsData<'_, impl Sized>, outgoing: &mut Vec<u8>) -> Result<(), rustls::Error> {
    let start = outgoing.len();
    let mut needed = 0;
    loop {
        outgoing.resize(start + needed, 0);
        match data.encode(&mut outgoing[start..]) {
            Ok(_) => return Ok(()),
            Err(EncodeError::InsufficientSize(more)) if more.required_size > needed => needed = more.required_size,
            Err(_) => return Err(rustls::Error::General("rustls did not encode its record".into())),
        }
    }
}

/// Room for our first flight with a chain of two or three ECDSA certificates, so that it grows once at most.
const FLIGHT_BYTES: usize = 2_048;
/// Bytes of records in one handshake: the longest hello and a chain of large device certificates are under 40 KB.
const HANDSHAKE_BYTES_MAX: usize = 128 << 10;
