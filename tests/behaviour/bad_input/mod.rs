//! What no phone should send: refused in the form its sender understands, and nobody else notices.

mod bodies;
mod heads;
mod hostile;
mod packed;
mod slow;
