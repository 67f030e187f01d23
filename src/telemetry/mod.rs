//! What the program says about itself: metrics, logs, request ids.
//!
//! * [`metrics`]: every metric with labels, unit and help, once; `docs/metrics.md` is generated from it.
//! * `process`: memory and processor time under the usual names. * [`log`]: text or JSON lines on standard error. * [`request_id`]: the mark that joins the lines of one request.
//!
//! Nothing here may log or label a credential, a token or a message's content.

pub mod log;
pub mod metrics;
mod process;
mod reference;
pub mod request_id;

pub use metrics::{install, upkeep};
pub use process::process_metrics;
pub use reference::metrics_reference;
pub use request_id::RequestId;
