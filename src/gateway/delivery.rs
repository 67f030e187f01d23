//! Answers on their way to a device, and what is taken back when one never arrives.
//!
//! ```text
//! request ─► Delivery (with its watcher) ─► last byte handed on: with the Stage ─► acknowledged: its keys count ─► arrived
//!                 └──────────────── dropped anywhere on the way: the device is behind ◄───────┘
//! ```
//! Freshness is learnt when the last byte was handed to hyper, and holds from then on: the device's next Ping is often here before
//! its acknowledgement, on another connection. An answer that had something for the device and does not arrive marks the folders
//! it was about as changed, whatever is told of them otherwise; a held Ping is answered by that.
//!
//! *Acknowledged* says that all of it is with the device's kernel, *arrived* that the device has read it: it asked again or left in order
//! afterwards, or the connection was quiet for long enough to be parked. A kernel that is left with unread bytes sends a reset.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::lots::Fact;
use super::observe::Pupil;
use super::tls::WireStream;
use crate::config::limits::TCP_USER_TIMEOUT;
use crate::logic::eas::FolderId;
use crate::telemetry::metrics::ANSWERS_UNDELIVERED_TOTAL;

/// The first look for an acknowledgement comes after this, each further one after twice the time of the one before.
pub(crate) const LOOK_FIRST: Duration = Duration::from_millis(2);
/// Looks are never further apart than this.
pub(crate) const LOOK_GAP_MAX: Duration = Duration::from_millis(250);

/// What a device must get. Dropped before it has arrived, it tells the lot that the device is behind.
pub(crate) struct Delivery {
    pupil: Pupil,
    /// In these folders.
    folders: Vec<FolderId>,
    /// And in its folder list.
    has_folder_list: bool,
    /// Above the number that the request was as of, and under those of all later ones.
    number: u64,
    is_armed: bool,
    is_acknowledged: bool,
    told: Option<Told>,
}

/// Told whether the answer is with the device: yes at most once, then perhaps no after all; or no at once.
pub(crate) type Told = Box<dyn Fn(bool) + Send + Sync>;

impl Delivery {
    /// Of the answer to a request that is about to be forwarded; `as_of` reserved the number after it (`Lots::as_of_request`).
    /// Not armed: losing it means nothing, since the backend may not even know who asks.
    pub(crate) fn new(pupil: Pupil, folders: Vec<FolderId>, has_folder_list: bool, as_of: u64, is_armed: bool) -> Self {
        Delivery { pupil, folders, has_folder_list, number: as_of + 1, is_armed, is_acknowledged: false, told: None }
    }

    /// The backend says yes: it is the answer to this device, and may have moved its state on.
    pub(crate) fn arm(&mut self) {
        self.is_armed = true;
    }

    /// What is in it is known by now: only this can be lost.
    pub(crate) fn keep_only(&mut self, is_in_it: impl Fn(&FolderId) -> bool, has_folder_list: bool) {
        self.folders.retain(is_in_it);
        self.has_folder_list &= has_folder_list;
    }

    pub(crate) fn telling(&mut self, told: Told) {
        self.told = Some(told);
    }

    pub(crate) fn is_acknowledged(&self) -> bool {
        self.is_acknowledged
    }

    /// The device's kernel has it.
    pub(crate) fn acknowledge(&mut self) {
        if let (false, Some(told)) = (self.is_acknowledged, &self.told) {
            told(true);
        }
        self.is_acknowledged = true;
    }

    /// The device has it, or there is nothing for it to have.
    pub(crate) fn arrived(mut self) {
        self.acknowledge();
        self.is_armed = false;
        self.told = None;
    }

    /// Waits for the acknowledgement on a connection that nobody writes to any more. Consumes it either way.
    pub(crate) async fn settle(self, stream: &WireStream) {
        // The socket gives up by itself within that time; a little later nothing can come any more.
        let (deadline, mut gap) = (Instant::now() + TCP_USER_TIMEOUT + Duration::from_secs(1), LOOK_FIRST);
        while Instant::now() < deadline {
            match stream.unacknowledged() {
                Ok(0) => return self.arrived(),
                Ok(_) if matches!(stream.get_ref().take_error(), Ok(None)) => {}
                _ => return,
            }
            sleep(gap).await;
            gap = (gap * 2).min(LOOK_GAP_MAX);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(told) = self.told.take() {
            told(false);
        }
        if !self.is_armed || (self.folders.is_empty() && !self.has_folder_list) {
            return;
        }
        tracing::debug!(device = %self.pupil.device, folders = self.folders.len(), "an answer never arrived");
        metrics::counter!(ANSWERS_UNDELIVERED_TOTAL.name).increment(1);
        let (folders, number) = (std::mem::take(&mut self.folders), self.number);
        self.pupil.tell(Fact::Undelivered { folders, has_folder_list: self.has_folder_list, number });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI8, Ordering};

    use socket2::SockRef;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpSocket, TcpStream};

    use super::super::lots::{Inbox, Lots, Note};
    use super::*;
    use crate::logic::eas::{DeviceId, Mailbox};

    /// A connection whose device takes a few kilobytes until it reads.
    async fn connection() -> (WireStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let device = TcpSocket::new_v4().expect("a socket");
        device.set_recv_buffer_size(4_096).expect("small");
        let device = device.connect(listener.local_addr().expect("bound")).await.expect("connected");
        let (stream, _) = listener.accept().await.expect("connected");
        (WireStream::plain(stream, Vec::new()), device)
    }

    /// Folder 5 is on its way, asked for as of 3; +1 for each yes it is told, and -10 for a no.
    fn delivery() -> (Delivery, Inbox, Arc<AtomicI8>) {
        let (lots, mut inboxes) = Lots::new(1, 16, 1).expect("a poller");
        let mailbox = Mailbox::normalise("hew@example.org", None, true).expect("a name");
        let pupil = Pupil { home: lots.home(&mailbox), lots, mailbox, device: DeviceId::new(b"A1").expect("an id") };
        let mut delivery = Delivery::new(pupil, vec![FolderId::new("5").expect("short")], false, 3, true);
        let score = Arc::new(AtomicI8::new(0));
        let told = score.clone();
        delivery.telling(Box::new(move |is_there| {
            told.fetch_add(if is_there { 1 } else { -10 }, Ordering::Relaxed);
        }));
        (delivery, inboxes.remove(0), score)
    }

    /// What the lot was told: number and folders.
    fn lost(inbox: &mut Inbox) -> Option<(u64, usize)> {
        let Note::Learn(lesson) = inbox.receiver.try_recv().ok()? else { panic!("a lesson") };
        let Fact::Undelivered { folders, has_folder_list: false, number } = lesson.fact else { panic!("of a loss") };
        Some((number, folders.len()))
    }

    #[tokio::test]
    async fn what_is_acknowledged_has_arrived() {
        let (mut stream, _device) = connection().await;
        let (delivery, mut inbox, score) = delivery();
        stream.write_all(&[1; 1_000]).await.expect("there is room");
        delivery.settle(&stream).await;
        assert_eq!((lost(&mut inbox), score.load(Ordering::Relaxed)), (None, 1));
    }

    #[tokio::test]
    async fn an_answer_stalled_until_the_socket_gives_up_is_lost() {
        let (mut stream, _device) = connection().await;
        SockRef::from(stream.get_ref()).set_tcp_user_timeout(Some(Duration::from_millis(300))).expect("Linux");
        let (delivery, mut inbox, score) = delivery();
        stream.write_all(&[1; 60_000]).await.expect("there is room on our side");
        assert!(stream.unacknowledged().expect("open") > 0, "the device's side is full");
        let began = Instant::now();
        delivery.settle(&stream).await;
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        assert_eq!((lost(&mut inbox), score.load(Ordering::Relaxed)), (Some((4, 1)), -10));
    }

    #[tokio::test]
    async fn a_loss_after_the_acknowledgement_takes_it_back() {
        let (mut delivery, mut inbox, score) = delivery();
        delivery.acknowledge();
        delivery.acknowledge();
        assert_eq!((lost(&mut inbox), score.load(Ordering::Relaxed)), (None, 1));
        drop(delivery);
        assert_eq!((lost(&mut inbox), score.load(Ordering::Relaxed)), (Some((4, 1)), -9));
    }

    #[tokio::test]
    async fn an_answer_with_nothing_in_it_cannot_be_missed() {
        let (mut with_nothing, mut inbox, _) = delivery();
        with_nothing.keep_only(|_| false, true);
        drop(with_nothing);
        assert_eq!(lost(&mut inbox), None);
    }
}
