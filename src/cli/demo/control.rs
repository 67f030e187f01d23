//! Mail on demand: a port on loopback where a line "deliver USER FOLDER" puts an item into a mailbox of the stand-in CAS. For
//! load tests, whose changes are to be found when a device looks.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::standin::cas::Cas;

/// Connections at once; more wait.
const CONNECTIONS_MAX: usize = 64;
/// The longest line.
const LINE_BYTES_MAX: u64 = 4_096;

/// Takes connections for ever; drop the future to stop.
pub(super) async fn listen(listener: TcpListener, cas: Arc<Cas>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let permit = Arc::clone(&permits).acquire_owned().await.expect("never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let cas = Arc::downgrade(&cas);
                tokio::spawn(async move {
                    // A connection that breaks has nobody left to be told.
                    let _ = obey(stream, || cas.upgrade()).await;
                    drop(permit);
                });
            }
            // Out of file descriptors: others must close theirs first.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Answers each line with "ok" or with what is wrong with it, until the demo ends.
async fn obey(stream: TcpStream, cas: impl Fn() -> Option<Arc<Cas>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    while let Some(line) = next_line(&mut reading).await? {
        let Some(cas) = cas() else { return Ok(()) };
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words[..] {
            ["deliver", user, folder] if cas.folder_id(user, "", folder).is_some() => {
                cas.deliver(user, folder);
                "ok\n"
            }
            _ => "write \"deliver USER FOLDER\" with a folder that is there, such as Inbox\n",
        };
        writing.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// `None`: the end, or a line that is none.
async fn next_line(reading: &mut BufReader<impl AsyncRead + Unpin>) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    let count = reading.take(LINE_BYTES_MAX).read_line(&mut line).await?;
    Ok((count > 0 && line.ends_with('\n')).then_some(line))
}
