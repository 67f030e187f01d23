//! The gateway from the operator's side: the internal address, limits, leaving.

mod drain;
mod internal;
mod limits;
mod own_answers;
mod storms;
