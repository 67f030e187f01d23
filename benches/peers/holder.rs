//! The least that holds requests: hyper and tokio-rustls, a task a connection. What one would write first.
//!
//! `GET /hold/7` is answered when `POST /wake` names 7; `GET /grip/7` at once, asking a GRIP proxy to hold it on channel 7.
//! The proxies have it, without TLS, as their origin.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// What it is told on the command line.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Where devices or proxies connect.
    #[arg(long)]
    pub listen: SocketAddr,
    /// Where it is told whom to wake.
    #[arg(long)]
    pub control: SocketAddr,
    /// Directory with `cert.pem` and `key.pem`; plain without it.
    #[arg(long)]
    pub tls: Option<PathBuf>,
}

#[derive(Default)]
struct Held {
    waiting: Mutex<HashMap<usize, oneshot::Sender<()>>>,
    gripped: AtomicUsize,
}

/// Serves until it is ended.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    pushgate::gateway::open_files::raise_to_most()?;
    let tls = arguments.tls.as_ref().map(|directory| -> anyhow::Result<TlsAcceptor> {
        let certificate = CertificateDer::from_pem_file(directory.join("cert.pem"))?;
        let key = PrivateKeyDer::from_pem_file(directory.join("key.pem"))?;
        let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    });
    let tls = tls.transpose().context("the certificate")?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let held = Arc::new(Held::default());
        tokio::try_join!(accept(arguments.listen, tls, held.clone()), accept(arguments.control, None, held))?;
        Ok(())
    })
}

async fn accept(address: SocketAddr, tls: Option<TlsAcceptor>, held: Arc<Held>) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (tls, held) = (tls.clone(), held.clone());
        tokio::spawn(async move {
            match tls {
                Some(tls) => serve(tls.accept(stream).await?, held).await,
                None => serve(stream, held).await,
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, held: Arc<Held>) -> anyhow::Result<()> {
    let service = service_fn(move |request| answer(request, held.clone()));
    Ok(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await?)
}

async fn answer(request: Request<Incoming>, held: Arc<Held>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut parts = request.uri().path().split('/').skip(1).map(str::to_owned);
    let verb = parts.next().unwrap_or_default();
    let number: usize = parts.next().and_then(|number| number.parse().ok()).unwrap_or_default();
    let ok = |text: String| Ok(Response::new(Full::from(text)));
    match verb.as_str() {
        "hold" => {
            let (sender, woken) = oneshot::channel();
            held.waiting.lock().expect("nothing panics with it").insert(number, sender);
            // Replaced by a newer request of the same device: answered too.
            let _ = woken.await;
            ok("something has changed in the Inbox".into())
        }
        "grip" => {
            held.gripped.fetch_add(1, Relaxed);
            let response = Response::builder().header("Grip-Hold", "response").header("Grip-Timeout", "3540");
            Ok(response.header("Grip-Channel", number.to_string()).body(Full::default()).expect("headers are fine"))
        }
        "wake" => {
            let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let numbers = std::str::from_utf8(&body).unwrap_or_default().split(' ').filter_map(|number| number.parse().ok());
            let mut waiting = held.waiting.lock().expect("nothing panics with it");
            let woken = numbers.filter_map(|number: usize| waiting.remove(&number)?.send(()).ok()).count();
            ok(woken.to_string())
        }
        _ => {
            let waiting = held.waiting.lock().expect("nothing panics with it");
            let alive = waiting.values().filter(|sender| !sender.is_closed()).count();
            ok((alive + held.gripped.load(Relaxed)).to_string())
        }
    }
}
