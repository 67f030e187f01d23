//! Workers: as many requests as there are workers are served at once; some more wait; the rest is turned away.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::shared::lock;

/// The workers of a stand-in, and who waits for one.
#[derive(Debug)]
pub(super) struct Workers {
    free: Arc<Semaphore>,
    count: usize,
    queue_max: usize,
    queue: Mutex<Queue>,
    busy_max: AtomicUsize,
}

/// How long requests waited for a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waits {
    /// Requests that had to wait, the ones that still do included.
    pub count: u64,
    /// Of them together.
    pub total: Duration,
    /// The longest.
    pub max: Duration,
}

/// The queue is full.
#[derive(Debug)]
pub(super) struct QueueFull;

#[derive(Debug, Default)]
struct Queue {
    /// Since when each waits, by its place; the first has waited longest.
    waiting: BTreeMap<u64, Instant>,
    next: u64,
    /// Waits that are over.
    over: Waits,
}

impl Waits {
    fn add(&mut self, waited: Duration) {
        self.count += 1;
        self.total += waited;
        self.max = self.max.max(waited);
    }
}

impl Workers {
    pub(super) fn new(count: usize, queue_max: usize) -> Self {
        let count = count.min(Semaphore::MAX_PERMITS);
        Workers { free: Arc::new(Semaphore::new(count)), count, queue_max, queue: Mutex::default(), busy_max: AtomicUsize::new(0) }
    }

    /// A worker, in the order of asking; it is free again when the permit is dropped.
    pub(super) async fn take(&self) -> Result<OwnedSemaphorePermit, QueueFull> {
        let permit = match self.free.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let place = Place::take(&self.queue, self.queue_max)?;
                let permit = self.free.clone().acquire_owned().await.expect("the semaphore is never closed");
                drop(place);
                permit
            }
        };
        self.busy_max.fetch_max(self.busy(), Ordering::Relaxed);
        Ok(permit)
    }

    pub(super) fn busy(&self) -> usize {
        self.count - self.free.available_permits()
    }

    pub(super) fn busy_max(&self) -> usize {
        self.busy_max.load(Ordering::Relaxed)
    }

    pub(super) fn queued(&self) -> usize {
        lock(&self.queue).waiting.len()
    }

    /// Waits that ended since it was last asked, and those that go on.
    pub(super) fn take_waits(&self) -> Waits {
        let mut queue = lock(&self.queue);
        let mut waits = std::mem::take(&mut queue.over);
        queue.waiting.values().for_each(|since| waits.add(since.elapsed()));
        waits
    }
}

/// A place in the queue, given back however waiting ends.
struct Place<'a> {
    queue: &'a Mutex<Queue>,
    number: u64,
}

impl<'a> Place<'a> {
    fn take(queue: &'a Mutex<Queue>, max: usize) -> Result<Self, QueueFull> {
        let mut inside = lock(queue);
        if inside.waiting.len() >= max {
            return Err(QueueFull);
        }
        let number = inside.next;
        inside.next += 1;
        inside.waiting.insert(number, Instant::now());
        Ok(Place { queue, number })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inside = lock(self.queue);
        if let Some(since) = inside.waiting.remove(&self.number) {
            inside.over.add(since.elapsed());
        }
    }
}
