//! Full TLS 1.3 handshakes, ECDSA P-256: ours against rustls alone, in memory and on a real socket.
//!
//! Only the server's half counts, by the processor time of its thread: what else runs on the machine slows the run down and
//! changes the figures little. On a socket that includes the thread's system calls and its share of loopback's network
//! stack; the client is on another thread there.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use pushgate::gateway::tls::{Acceptor, InMemory};
use pushgate::standin::tls::{ThrowAway, Trust, client_config};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{CipherSuite, ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use tokio::net::{TcpListener, TcpStream};

use super::figures::{Budget, Figures};
use super::process::thread_ran;

/// All in turns, so that they meet the same machine.
pub fn measure(figures: &mut Figures, is_short: bool) -> anyhow::Result<()> {
    let (times, handshakes) = if is_short { (3, 400) } else { (7, 2_000) };
    let pair = ThrowAway::new(&["localhost"])?;
    let client = client_config(Trust::Root(pair.certificate.clone()), false)?;
    let server = Arc::new(server_config(&pair)?);
    let acceptor = Arc::new(Acceptor::from_pem(&pair.certificate_pem, &pair.key_pem)?);
    let tokio_rustls = tokio_rustls::TlsAcceptor::from(server.clone());
    let (mut alone, mut ours, mut ours_there, mut usual_there, mut bare) = (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..times {
        alone.push(in_memory(&client, handshakes, || Ok(ServerConnection::new(server.clone())?))?);
        ours.push(in_memory(&client, handshakes, || Ok(acceptor.in_memory()?))?);
        ours_there.push(on_a_socket(&client, handshakes, |stream| {
            let acceptor = acceptor.clone();
            async move { acceptor.accept(stream, Vec::new()).await.map(drop).context("ours") }
        })?);
        usual_there.push(on_a_socket(&client, handshakes, |stream| {
            let acceptor = tokio_rustls.clone();
            async move { acceptor.accept(stream).await.map(drop).context("tokio-rustls") }
        })?);
        bare.push(bare_connections(handshakes)?);
    }
    let share = |ours: &[f64], other: &[f64]| -> Vec<f64> { ours.iter().zip(other).map(|(ours, other)| ours / other * 100.0).collect() };
    let (in_memory, there, usual) = (share(&ours, &alone), share(&ours_there, &alone), share(&ours_there, &usual_there));
    figures.show("full handshakes in memory: rustls alone", "per core-second", alone);
    figures.show("full handshakes in memory: ours", "per core-second", ours);
    figures.add("full handshakes in memory: ours ÷ rustls alone", "%", Budget::Least(80.0), 0.0, in_memory);
    figures.show("full handshakes on loopback: ours", "per core-second", ours_there);
    figures.show("full handshakes on loopback: tokio-rustls", "per core-second", usual_there);
    figures.show("connections without TLS on loopback", "per core-second", bare);
    figures.add("full handshakes on loopback: ours ÷ tokio-rustls", "%", Budget::Least(80.0), 0.0, usual);
    figures.show("ours on loopback ÷ rustls alone in memory", "%", there);
    Ok(())
}

/// As the gateway configures rustls: AES-128, both versions, one ticket without state.
fn server_config(pair: &ThrowAway) -> anyhow::Result<ServerConfig> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    let builder = ServerConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_single_cert(vec![pair.certificate.clone()], pair.key.clone_key())?;
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    (config.ignore_client_order, config.send_tls13_tickets) = (true, 1);
    Ok(config)
}

/// The server's half of a handshake.
trait Half {
    /// Takes the client's bytes, appends its own. True: nothing more is to come.
    fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> anyhow::Result<bool>;
}

impl Half for ServerConnection {
    fn receive(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> anyhow::Result<bool> {
        while !bytes.is_empty() {
            self.read_tls(&mut bytes)?;
            self.process_new_packets()?;
        }
        while self.wants_write() {
            self.write_tls(out)?;
        }
        Ok(!self.is_handshaking())
    }
}

impl Half for InMemory {
    fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> anyhow::Result<bool> {
        Ok(InMemory::receive(self, bytes, out)?)
    }
}

/// A client, and what it and its server have for each other.
struct Pair<S> {
    client: ClientConnection,
    server: S,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

/// Handshakes that run side by side: the clock is read twice for all of them.
const SIDE_BY_SIDE: usize = 50;

/// Handshakes for each second that the server's half takes.
fn in_memory<S: Half>(client: &Arc<ClientConfig>, handshakes: usize, server: impl Fn() -> anyhow::Result<S>) -> anyhow::Result<f64> {
    let mut spent = Duration::ZERO;
    let rounds = handshakes / SIDE_BY_SIDE;
    for _ in 0..rounds {
        let clients = (0..SIDE_BY_SIDE).map(|_| Ok(ClientConnection::new(client.clone(), ServerName::try_from("localhost")?)?));
        let clients = clients.collect::<anyhow::Result<Vec<_>>>()?;
        let began = thread_ran();
        let pairs = clients.into_iter().map(|client| Ok(Pair { client, server: server()?, to_server: vec![], to_client: vec![] }));
        let mut pairs = pairs.collect::<anyhow::Result<Vec<_>>>()?;
        spent += thread_ran() - began;
        let mut is_over = false;
        while !is_over {
            for pair in &mut pairs {
                let mut input = &pair.to_client[..];
                while !input.is_empty() {
                    pair.client.read_tls(&mut input)?;
                    pair.client.process_new_packets()?;
                }
                (pair.to_server, pair.to_client) = (vec![], vec![]);
                while pair.client.wants_write() {
                    pair.client.write_tls(&mut pair.to_server)?;
                }
            }
            is_over = true;
            let began = thread_ran();
            for pair in &mut pairs {
                is_over &= pair.server.receive(&pair.to_server, &mut pair.to_client)?;
            }
            spent += thread_ran() - began;
        }
        ensure!(pairs.iter().all(|pair| !pair.client.is_handshaking()), "a handshake did not end");
        let servers: Vec<S> = pairs.into_iter().map(|pair| pair.server).collect();
        let began = thread_ran();
        drop(servers);
        spent += thread_ran() - began;
    }
    Ok((rounds * SIDE_BY_SIDE) as f64 / spent.as_secs_f64())
}

/// Handshakes for each second of processor time of the thread that accepts.
fn on_a_socket<F>(client: &Arc<ClientConfig>, handshakes: usize, accept: impl Fn(TcpStream) -> F) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let client = client.clone();
    serve(handshakes, accept, move |address| {
        let mut tls = ClientConnection::new(client.clone(), ServerName::try_from("localhost")?)?;
        let mut socket = std::net::TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        until_closed(socket)
    })
}

/// The same without TLS.
fn bare_connections(connections: usize) -> anyhow::Result<f64> {
    let accept = |stream: TcpStream| async move {
        stream.set_nodelay(true)?;
        drop(stream);
        Ok(())
    };
    serve(connections, accept, |address| until_closed(std::net::TcpStream::connect(address)?))
}

/// The server is done with it: the next connection does not overlap with this one.
fn until_closed(mut socket: std::net::TcpStream) -> anyhow::Result<()> {
    // Closing over the client's unread Finished resets; either way it is over.
    let _ = socket.read_to_end(&mut Vec::new());
    Ok(())
}

fn serve<F>(
    connections: usize,
    accept: impl Fn(TcpStream) -> F,
    connect: impl Fn(SocketAddr) -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<()>>,
{
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let clients = std::thread::spawn(move || (0..connections).try_for_each(|_| connect(address)));
        let before = thread_ran();
        for _ in 0..connections {
            let (stream, _) = listener.accept().await?;
            accept(stream).await.context("a handshake failed")?;
        }
        let ran = thread_ran() - before;
        clients.join().expect("clients do not panic").context("a client failed")?;
        Ok(connections as f64 / ran.as_secs_f64())
    })
}
