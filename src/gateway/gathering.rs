//! Request bodies that are read before they are passed on: whose, how much of them, and how much of all of them together.

use std::sync::Arc;

use http::request;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::body::{Collected, collect};
use super::exchange::{Answer, Eas, Exchange};
use crate::config::limits::STRANGER_BODY_BYTES_MAX;
use crate::telemetry::metrics::SHED_TOTAL;

/// Room for bodies, shared by all connections.
#[derive(Clone)]
pub(super) struct BodyRoom(Arc<Semaphore>);

/// Some of it, given back when dropped.
#[derive(Default)]
pub(super) struct Occupied(Option<OwnedSemaphorePermit>);

impl BodyRoom {
    pub(super) fn new(bytes_max: usize) -> Self {
        BodyRoom(Arc::new(Semaphore::new(bytes_max.min(Semaphore::MAX_PERMITS))))
    }

    /// Room for more bytes, if there is any.
    pub(super) fn occupy(&self, occupied: &mut Occupied, bytes: usize) -> Result<(), TryAcquireError> {
        let bytes = u32::try_from(bytes).map_err(|_| TryAcquireError::NoPermits)?;
        let more = Arc::clone(&self.0).try_acquire_many_owned(bytes).inspect_err(|_| {
            metrics::counter!(SHED_TOTAL.name, "limit" => "bodies_bytes_max").increment(1);
        })?;
        match &mut occupied.0 {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

impl Exchange {
    /// Reads a body until its end or until more than `bytes_max` are there. What somebody sends whom the backend does not know
    /// is not worth more memory than a Ping: beyond that, or where no length is said, the backend is asked first. The error is
    /// the answer.
    pub(super) async fn gather(
        &self,
        head: &request::Parts,
        body: Incoming,
        eas: &Eas,
        mut bytes_max: usize,
    ) -> Result<Collected, Box<Answer>> {
        let is_short = body.size_hint().exact().is_some_and(|bytes| bytes <= STRANGER_BODY_BYTES_MAX as u64);
        if !is_short && bytes_max > STRANGER_BODY_BYTES_MAX && !self.is_known(eas) {
            match eas.credentials {
                Some(_) => self.log_in(head, eas).await?,
                // Nobody we could ask about.
                None => bytes_max = STRANGER_BODY_BYTES_MAX,
            }
        }
        let limits = &self.gateway.config.limits;
        let (collected, occupied) =
            collect(body, bytes_max + 1, limits.body_idle, &self.gateway.body_room).await.map_err(|broken| Box::new(broken.answer()))?;
        // Until this exchange has its answer.
        *self.occupied.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = occupied;
        Ok(collected)
    }
}
