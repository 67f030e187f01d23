//! Full TLS 1.3 handshakes, ECDSA P-256: the acceptor on a real socket against rustls alone in memory.
//!
//! Only the server's half counts: in memory by the clock around it, on a socket by the processor time of the one
//! thread that accepts (its system calls and its share of loopback's network stack included). The clients run on another thread.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use pushgate::gateway::tls::Acceptor;
use pushgate::standin::tls::{ThrowAway, Trust, client_config};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use tokio::net::{TcpListener, TcpStream};

use super::figures::{Budget, Figures};
use super::process::thread_ran_ns;

/// All three in turns, so that they meet the same machine.
pub fn measure(figures: &mut Figures, is_short: bool) -> anyhow::Result<()> {
    let (times, handshakes) = if is_short { (3, 400) } else { (7, 2_000) };
    let pair = ThrowAway::new(&["localhost"])?;
    let client = client_config(Trust::Root(pair.certificate.clone()), false)?;
    let server = Arc::new(server_config(&pair)?);
    let acceptor = Arc::new(Acceptor::from_pem(&pair.certificate_pem, &pair.key_pem)?);
    let tokio_rustls = tokio_rustls::TlsAcceptor::from(server.clone());
    let (mut alone, mut usual, mut ours, mut bare) = (vec![], vec![], vec![], vec![]);
    for _ in 0..times {
        alone.push(in_memory(&server, &client, handshakes)?);
        let acceptor = acceptor.clone();
        ours.push(on_a_socket(&client, handshakes, |stream| {
            let acceptor = acceptor.clone();
            async move { Ok(drop(acceptor.accept(stream, Vec::new()).await?)) }
        })?);
        usual.push(on_a_socket(&client, handshakes, |stream| {
            let acceptor = tokio_rustls.clone();
            async move { Ok(drop(acceptor.accept(stream).await?)) }
        })?);
        bare.push(bare_connections(handshakes)?);
    }
    let shares: Vec<f64> = ours.iter().zip(&alone).map(|(ours, alone)| ours / alone * 100.0).collect();
    // What a handshake costs beside the socket that every server has to accept and close.
    let without_socket = |(ours, bare): (&f64, &f64)| 1.0 / (1.0 / ours - 1.0 / bare);
    let net: Vec<f64> = ours.iter().zip(&bare).map(without_socket).zip(&alone).map(|(ours, alone)| ours / alone * 100.0).collect();
    figures.show("full handshakes: rustls alone, in memory", "per core-second", alone);
    figures.show("full handshakes: our acceptor, on loopback", "per core-second", ours);
    figures.show("full handshakes: tokio-rustls, on loopback", "per core-second", usual);
    figures.show("bare TCP connections accepted, on loopback", "per core-second", bare);
    figures.add("our acceptor ÷ rustls alone", "%", Budget::Least(80.0), 0.25, shares);
    figures.show("the same without the bare TCP connection", "%", net);
    Ok(())
}

/// As the gateway configures rustls: tickets without state, both versions.
fn server_config(pair: &ThrowAway) -> anyhow::Result<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_single_cert(vec![pair.certificate.clone()], pair.key.clone_key())?;
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(config)
}

/// Handshakes a second that rustls's server half does when nothing else costs anything.
fn in_memory(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>, handshakes: usize) -> anyhow::Result<f64> {
    let mut spent = Duration::ZERO;
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    for _ in 0..handshakes {
        let mut client = ClientConnection::new(client.clone(), ServerName::try_from("localhost")?)?;
        let began = Instant::now();
        let mut server = ServerConnection::new(server.clone())?;
        spent += began.elapsed();
        while client.is_handshaking() || server.is_handshaking() {
            to_server.clear();
            while client.wants_write() {
                client.write_tls(&mut to_server)?;
            }
            let began = Instant::now();
            let mut input = &to_server[..];
            while !input.is_empty() {
                server.read_tls(&mut input)?;
                server.process_new_packets()?;
            }
            to_client.clear();
            while server.wants_write() {
                server.write_tls(&mut to_client)?;
            }
            spent += began.elapsed();
            let mut input = &to_client[..];
            while !input.is_empty() {
                client.read_tls(&mut input)?;
                client.process_new_packets()?;
            }
        }
        let began = Instant::now();
        drop(server);
        spent += began.elapsed();
    }
    Ok(handshakes as f64 / spent.as_secs_f64())
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
        let before = thread_ran_ns()?;
        for _ in 0..connections {
            let (stream, _) = listener.accept().await?;
            accept(stream).await.context("a handshake failed")?;
        }
        let ran = Duration::from_nanos(thread_ran_ns()? - before);
        clients.join().expect("clients do not panic").context("a client failed")?;
        Ok(connections as f64 / ran.as_secs_f64())
    })
}
