//! Lines on standard input, for programs that wait for other things too.

use std::io::BufRead as _;

use tokio::sync::mpsc;

/// Lines that wait to be taken.
const LINES_MAX: usize = 64;

/// Lines as they come; the channel ends with the input. A thread of its own reads: reading standard input cannot be interrupted.
pub fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
