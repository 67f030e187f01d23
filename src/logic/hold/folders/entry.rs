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
/// The last Sync followed a wake and brought less than was reported: perhaps the reports outran what the backend saw.
pub(super) const SETTLING: u8 = 16;
/// The last Sync sent changes of its own, which sources report back.
pub(super) const SENT: u8 = 32;
/// In somebody else's mailbox: no source reports it under this one.
pub(super) const ANOTHERS: u8 = 64;
/// While a table is edited: the row is not in it any more.
pub(super) const DROPPED: u8 = 128;

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
    /// Type and class, see `kind` and `class`.
    pub(super) kind: u8,
    /// Reports of changes since the last proof.
    pub(super) reports: u8,
    pub(super) flags: u8,
}

/// In three bits: no class.
const NO_CLASS: u8 = 7;
/// Types from here on are alike to us.
const TYPE_MAX: u8 = 31;

/// What a Sync did for a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncTraits {
    /// Changes for the device in the answer.
    pub brought: u32,
    /// The request had changes of the device's own.
    pub sent: bool,
    /// There is more than the answer brought: the device is not in step yet.
    pub is_cut: bool,
}

impl Entry {
    /// A folder first heard of now. Changes before were not recorded: only later proofs count.
    pub(super) fn new(last_number: u64) -> Self {
        let kind = NO_CLASS;
        Entry { change: 0, fresh: last_number, proven_s: 0, id_start: 0, path: 0, id_bytes: 0, kind, reports: 0, flags: 0 }
    }

    /// Its FolderSync `Type`; 0 until it is learnt.
    pub(super) fn folder_type(&self) -> u8 {
        self.kind >> 3
    }

    pub(super) fn class(&self) -> Option<Class> {
        Class::ALL.get(usize::from(self.kind & 7)).copied()
    }

    pub(super) fn set_kind(&mut self, folder_type: u8, class: Option<Class>) {
        self.kind = folder_type.min(TYPE_MAX) << 3 | class.map_or(NO_CLASS, |class| class as u8);
    }

    /// A Ping names it. A learnt type decides the class; what the Ping says only fills the gap.
    pub(super) fn watch(&mut self, class: Option<Class>) {
        self.flags |= WATCHED;
        self.set_kind(self.folder_type(), self.class().or(class));
    }

    /// Something made the record of changes unreliable up to now.
    pub(super) fn lose_proof(&mut self, last_number: u64) {
        self.flags &= !(PROVEN | SETTLING | SENT);
        self.fresh = self.fresh.max(last_number);
    }

    pub(super) fn mark(&mut self, number: u64, now_s: u32) {
        self.change = self.change.max(number);
        self.reports = self.reports.saturating_add(u8::from(number > self.fresh));
        if self.change > self.fresh && now_s > self.proven_s.saturating_add(ECHO_S) {
            self.flags &= !SENT;
        }
    }

    /// The backend itself says that it changed.
    pub(super) fn mark_found(&mut self, number: u64) {
        self.change = self.change.max(number);
        self.flags &= !SENT;
    }

    /// What changed up to this number was on its way to the device and got lost, unless a later answer brought it.
    pub(super) fn mark_undelivered(&mut self, number: u64) {
        if self.flags & PROVEN == 0 || self.fresh < number {
            self.mark_found(number.max(self.fresh + 1));
        }
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
        self.path == 0 && (self.folder_type() == 0 || !path.is_of_another_type(self.folder_type()))
    }

    pub(super) fn may_be_email(&self) -> bool {
        self.class().is_none_or(|class| class == Class::Email)
    }

    pub(super) fn is_covered(&self, coverage: &Coverage) -> bool {
        self.flags & ANOTHERS == 0 && self.class().is_some_and(|class| coverage.covered.contains(class))
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
            _ => coverage.ends_s(self.proven_s, is_covered, view.spread),
        }
    }

    /// A Sync, or a check that found nothing. Returns whether it was the answer to a wake and nothing came of it.
    pub(super) fn prove(&mut self, as_of: AsOf, traits: SyncTraits, view: &View<'_>) -> bool {
        let was_woken = self.is_changed() && self.change <= as_of.number;
        let missing = self.reports.saturating_sub(traits.brought.min(255) as u8);
        if as_of.number < self.fresh || traits.is_cut {
            self.reports = missing;
            return false;
        }
        let (coverage, asked_s) = (view.coverage, as_of.at.seconds());
        // Asked long enough after the report: whatever it was about shows by now.
        let is_conclusive = self.flags & SENT != 0 && asked_s >= self.echo_ends_s(coverage);
        let is_settling = self.flags & SETTLING != 0 && asked_s < self.settled_s(coverage);
        (self.fresh, self.flags) = (as_of.number, self.flags | PROVEN);
        // More was reported than the backend had to show: perhaps it does not show everything yet.
        let is_in_question = was_woken && missing > 0 && !is_conclusive && view.guards.outrun;
        self.reports = match self.is_changed() {
            true => missing.max(1),
            false if is_in_question || is_settling => missing,
            false => 0,
        };
        if is_in_question || !is_settling {
            self.proven_s = view.now_s;
            self.flags &= !(SETTLING | SENT);
            self.flags |= if is_in_question { SETTLING } else { 0 } | if traits.sent { SENT } else { 0 };
        }
        was_woken && traits.brought == 0 && !traits.sent
    }

    fn is_changed(&self) -> bool {
        self.flags & GONE == 0 && self.change > self.fresh
    }

    /// By then the backend shows what was reported before the Sync that brought too little. One second for rounding.
    fn settled_s(&self, coverage: &Coverage) -> u32 {
        self.proven_s.saturating_add(coverage.settle.as_secs() as u32 + 1)
    }

    /// By then the backend shows what was reported while an echo was to be expected.
    fn echo_ends_s(&self, coverage: &Coverage) -> u32 {
        self.settled_s(coverage).saturating_add(ECHO_S)
    }
}
