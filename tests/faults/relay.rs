//! A network between devices and the gateway that ends all its connections at once, in one of three ways.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How connections end, seen from the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With a FIN.
    Clean,
    /// With a reset.
    Reset,
    /// Not at all: nothing is ever heard of the device again.
    Silent,
}

/// See the module. It ends when this is dropped.
pub struct Relay {
    pub address: SocketAddr,
    order: watch::Sender<Option<End>>,
}

impl Relay {
    /// Before that address.
    pub async fn start(target: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (order, ordered) = watch::channel(None);
        tokio::spawn(async move {
            let mut gone = ordered.clone();
            loop {
                let stream = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap().0,
                    changed = gone.changed() => if changed.is_err() { return } else { continue },
                };
                tokio::spawn(pass(stream, target, ordered.clone()));
            }
        });
        Relay { address, order }
    }

    /// Ends all connections; there are no new ones.
    pub fn end(&self, how: End) {
        self.order.send_replace(Some(how));
    }
}

async fn pass(mut device: TcpStream, target: SocketAddr, mut order: watch::Receiver<Option<End>>) {
    if order.borrow().is_some() {
        return;
    }
    let Ok(mut gateway) = TcpStream::connect(target).await else { return };
    let how = tokio::select! {
        // Either end hung up.
        _ = copy_bidirectional(&mut device, &mut gateway) => return,
        how = async { order.wait_for(Option::is_some).await.ok().and_then(|how| *how) } => how,
    };
    drop(device);
    match how {
        Some(End::Reset) => socket2::SockRef::from(&gateway).set_linger(Some(Duration::ZERO)).unwrap(),
        Some(End::Silent) => {
            // Until the gateway gives it up; what it says until then goes nowhere.
            let mut room = [0; 1_024];
            while gateway.read(&mut room).await.is_ok_and(|count| count > 0) {}
        }
        Some(End::Clean) | None => {}
    }
}
