//! One folder of one device: what changed, and up to where the device is known to be in step.

use super::{AsOf, Coverage, PathMatch, View};
use crate::logic::eas::Class;
use crate::logic::hold::path::PathHash;

/// The held Ping names it.
pub(super) const WATCHED: u8 = 1;
/// Not a child of the root: its path is lost when an ancestor is renamed.
pub(super) const NESTED: u8 = 2;
/// `fresh` is a proof; without it, `fresh` is the last number before the folder was known: older proofs say nothing.
pub(super) const PROVEN: u8 = 4;
/// Deleted, but a Ping names it still: it comes back watched if the server makes it anew.
pub(super) const GONE: u8 = 8;
/// The last Sync followed a wake and brought nothing: perhaps the notice outran what the backend saw.
pub(super) const SETTLING: u8 = 16;
/// The last Sync sent changes of its own, which sources report back.
pub(super) const SENT: u8 = 32;

/// A change reported within this time of a Sync that sent changes may be that Sync's echo.
pub const ECHO_S: u32 = 3;

/// One folder, 32 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Number of the last change.
    pub(super) change: u64,
    /// Change number up to which the device is in step.
    pub(super) fresh: u64,
    /// When `fresh` was proven, seconds.
    pub(super) proven_s: u32,
    pub(super) id_start: u32,
    pub(super) path: PathHash,
    pub(super) id_bytes: u8,
    pub(super) folder_type: u8,
    pub(super) class: Option<Class>,
    pub(super) flags: u8,
}

/// What a Sync did for a folder besides bringing it in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncTraits {
    /// The answer had changes for the device.
    pub brought: bool,
    /// The request had changes of the device's own.
    pub sent: bool,
}

impl Entry {
    /// A folder first heard of now. Changes before were not recorded: only later proofs count.
    pub(super) fn new(last_number: u64) -> Self {
        Entry { change: 0, fresh: last_number, proven_s: 0, id_start: 0, path: 0, id_bytes: 0, folder_type: 0, class: None, flags: 0 }
    }

    /// Something made the record of changes unreliable up to now.
    pub(super) fn lose_proof(&mut self, last_number: u64) {
        self.flags &= !(PROVEN | SETTLING | SENT);
        self.fresh = self.fresh.max(last_number);
    }

    pub(super) fn mark(&mut self, number: u64, now_s: u32) {
        self.change = self.change.max(number);
        if self.change > self.fresh && now_s > self.proven_s.saturating_add(ECHO_S) {
            self.flags &= !SENT;
        }
    }

    /// The backend itself says that it changed.
    pub(super) fn mark_found(&mut self, number: u64) {
        self.change = self.change.max(number);
        self.flags &= !SENT;
    }

    pub(super) fn is_dirty(&self, view: &View<'_>) -> bool {
        self.is_changed() && !(self.flags & SENT != 0 && view.now_s < self.echo_ends_s(view.coverage))
    }

    /// What may be an echo waits until the backend must show whatever else it may be: so one Sync is enough to tell.
    pub(super) fn held_back_until_s(&self, view: &View<'_>) -> u32 {
        if self.is_changed() && self.flags & SENT != 0 { self.echo_ends_s(view.coverage) } else { u32::MAX }
    }

    /// Whether this folder may be the one that a source calls by a path that another folder has too.
    pub(super) fn may_be_called(&self, path: &PathMatch) -> bool {
        self.path == 0 && (self.folder_type == 0 || !path.is_of_another_type(self.folder_type))
    }

    pub(super) fn may_be_email(&self) -> bool {
        self.class.is_none_or(|class| class == Class::Email)
    }

    pub(super) fn is_covered(&self, coverage: &Coverage) -> bool {
        self.class.is_some_and(|class| coverage.covered.contains(class))
    }

    /// The second at which the present proof ends; 0 when there is none.
    pub(super) fn proof_ends_s(&self, view: &View<'_>) -> u32 {
        let coverage = view.coverage;
        let is_covered = self.is_covered(coverage);
        let is_missing = self.flags & PROVEN == 0 || (is_covered && self.fresh < coverage.epoch);
        match self.flags {
            flags if flags & GONE != 0 => u32::MAX,
            _ if is_missing && view.guards.restart => 0,
            _ if is_missing => u32::MAX,
            flags if flags & SETTLING != 0 => self.settled_s(coverage),
            _ => {
                let lasts_s = if is_covered { coverage.trust } else { coverage.poll }.as_secs() as u32;
                // Up to an eighth earlier, so that what was proven together does not end together.
                let early_s = u64::from(lasts_s / 8) * u64::from(view.spread) / 256;
                self.proven_s.saturating_add(lasts_s - early_s as u32)
            }
        }
    }

    /// Returns whether a wake was answered by a Sync of which nothing came.
    pub(super) fn prove(&mut self, as_of: AsOf, traits: SyncTraits, view: &View<'_>) -> bool {
        if as_of.number < self.fresh {
            return false;
        }
        let (coverage, asked_s) = (view.coverage, as_of.at.seconds());
        let was_woken = self.is_changed() && self.change <= as_of.number;
        // Asked long enough after the notice: whatever it was about shows by now.
        let is_conclusive = self.flags & SENT != 0 && asked_s >= self.echo_ends_s(coverage);
        let is_settling = self.flags & SETTLING != 0 && asked_s < self.settled_s(coverage);
        (self.fresh, self.flags) = (as_of.number, self.flags | PROVEN);
        if is_settling && !traits.brought {
            return was_woken;
        }
        self.proven_s = view.now_s;
        let is_in_question = was_woken && !traits.brought && !is_conclusive && view.guards.outrun;
        self.flags &= !(SETTLING | SENT);
        self.flags |= if is_in_question { SETTLING } else { 0 } | if traits.sent { SENT } else { 0 };
        was_woken && !traits.brought && !traits.sent
    }

    fn is_changed(&self) -> bool {
        self.flags & GONE == 0 && self.change > self.fresh
    }

    /// By then the backend shows what was reported before the Sync that brought nothing. One second for rounding.
    fn settled_s(&self, coverage: &Coverage) -> u32 {
        self.proven_s.saturating_add(coverage.settle.as_secs() as u32 + 1)
    }

    /// By then the backend shows what was reported while an echo was to be expected.
    fn echo_ends_s(&self, coverage: &Coverage) -> u32 {
        self.settled_s(coverage).saturating_add(ECHO_S)
    }
}
