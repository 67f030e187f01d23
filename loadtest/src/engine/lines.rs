//! Changes told by lines: to a program that answers each, or into a file.

use std::io::Write as _;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

/// Where they go.
pub enum Lines {
    /// Made when needed, and anew after a failure.
    Connection(String, Option<BufStream<TcpStream>>),
    File(std::fs::File),
}

impl Lines {
    /// `HOST:PORT`, or the path of something that is there. A FIFO must have a reader, or this waits for one.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn to(place: &str) -> anyhow::Result<Lines> {
        if !place.contains('/') && place.contains(':') {
            return Ok(Lines::Connection(place.to_owned(), None));
        }
        let file = std::fs::OpenOptions::new().append(true).open(place).with_context(|| place.to_owned())?;
        Ok(Lines::File(file))
    }

    /// Writes `text`, which has `count` lines, and waits for their answers if there are any.
    ///
    /// # Errors
    /// It could not be written, or an answer was not "ok".
    pub async fn write(&mut self, text: &str, count: usize) -> anyhow::Result<()> {
        match self {
            Lines::File(file) => Ok(file.write_all(text.as_bytes())?),
            Lines::Connection(address, connection) => {
                let mut stream = match connection.take() {
                    Some(stream) => stream,
                    None => BufStream::new(TcpStream::connect(&*address).await.with_context(|| address.clone())?),
                };
                // In parts, so that neither side waits for the other with full buffers.
                let mut lines = text.split_inclusive('\n').peekable();
                let mut left = count;
                while left > 0 {
                    let part = left.min(PART);
                    for line in lines.by_ref().take(part) {
                        stream.write_all(line.as_bytes()).await?;
                    }
                    stream.flush().await?;
                    for _ in 0..part {
                        let mut answer = String::new();
                        stream.read_line(&mut answer).await?;
                        ensure!(answer.trim() == "ok", "a line was answered \"{}\"", answer.trim());
                    }
                    left -= part;
                }
                *connection = Some(stream);
                Ok(())
            }
        }
    }
}

/// Lines that are under way at once.
const PART: usize = 64;

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn every_line_is_answered_and_a_refusal_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut lines = Lines::to(&listener.local_addr().unwrap().to_string()).unwrap();
        let server = tokio::spawn(async move {
            let mut stream = BufStream::new(listener.accept().await.unwrap().0);
            let mut seen = Vec::new();
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await.unwrap() == 0 {
                    return seen;
                }
                let answer = if line == "no\n" { "no such user\n" } else { "ok\n" };
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                seen.push(line);
            }
        });
        let many: String = (0..200).map(|number| format!("deliver {number}\n")).collect();
        lines.write(&many, 200).await.unwrap();
        assert!(lines.write("no\n", 1).await.unwrap_err().to_string().contains("no such user"));
        assert_eq!(server.await.unwrap().len(), 201);
    }

    #[tokio::test]
    async fn a_file_takes_them_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        std::fs::write(&path, "").unwrap();
        let mut lines = Lines::to(path.to_str().unwrap()).unwrap();
        lines.write("deliver ann Inbox\n", 1).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "deliver ann Inbox\n");
    }
}
