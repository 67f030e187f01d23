//! What is measured of each server.

use serde::{Deserialize, Serialize};

/// One quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Row {
    UserBytes,
    KernelBytes,
    AcceptsPerSecond,
    AcceptCpuUs,
    WakeOneP50Ms,
    WakeOneP99Ms,
    WakeAllP50Ms,
    WakeAllP99Ms,
    WakeAllLastMs,
    WakeCommonLastMs,
    IdleCpuMs,
    CycleCpuMs,
    Failures,
    Lost,
}

impl Row {
    /// In the order of the table.
    pub const ALL: [Row; 14] = [
        Row::UserBytes,
        Row::KernelBytes,
        Row::AcceptsPerSecond,
        Row::AcceptCpuUs,
        Row::WakeOneP50Ms,
        Row::WakeOneP99Ms,
        Row::WakeAllP50Ms,
        Row::WakeAllP99Ms,
        Row::WakeAllLastMs,
        Row::WakeCommonLastMs,
        Row::IdleCpuMs,
        Row::CycleCpuMs,
        Row::Failures,
        Row::Lost,
    ];

    /// As the table has it.
    pub fn name(self) -> &'static str {
        match self {
            Row::UserBytes => "user space a held request, B",
            Row::KernelBytes => "kernel a held request, B",
            Row::AcceptsPerSecond => "TLS accepts with their request held, a second",
            Row::AcceptCpuUs => "server CPU for each of them, µs",
            Row::WakeOneP50Ms => "wake one: published → read, p50, ms",
            Row::WakeOneP99Ms => "wake one, p99, ms",
            Row::WakeAllP50Ms => "wake all: first published → read, p50, ms",
            Row::WakeAllP99Ms => "wake all, p99, ms",
            Row::WakeAllLastMs => "wake all, last, ms",
            Row::WakeCommonLastMs => "wake all by one message on one channel, last, ms",
            Row::IdleCpuMs => "CPU of 60 idle seconds, ms",
            Row::CycleCpuMs => "CPU of 1,000 accept-hold-wake cycles, ms",
            Row::Failures => "requests that failed and were sent again",
            Row::Lost => "wakes that did not arrive in 30 s",
        }
    }

    /// More is better.
    pub fn is_rate(self) -> bool {
        self == Row::AcceptsPerSecond
    }
}
