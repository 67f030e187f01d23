//! What happens in the world: changes, reports of them, and everything that goes wrong.

use std::time::Duration;

use pushgate::logic::hold::{MailboxChange, Moment, Scope};

use super::bounds::{FAULTS_END_S, NOTICE_MAX_MS, NOTICED_MAX_S};
use super::device::What;
use super::gateway::Note;
use super::plan::SourceKind;
use super::shadow::{Promise, Thing};
use super::truth::{Item, folder_id};
use super::{Event, Reply, World};

/// The source, as it is and as the gateway sees it.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// It loses what is reported.
    is_gone: bool,
    /// The gateway knows, or believes, that it reports.
    pub(super) is_covering: bool,
    /// Reports of another stretch were lost with their connection.
    stretch: u32,
    /// When the last report of a mailbox arrives, for sources that keep the order.
    last: Moment,
}

impl World {
    pub(super) fn begin(&mut self) {
        self.source.is_covering = true;
        for device in 0..self.devices.len() {
            let ms = self.rng.range(0, 60_000);
            self.act_in(device, ms);
            self.after_about_s(900, Event::User(device));
            self.after_about_s(self.plan.trouble_gap_s, Event::Trouble(device));
        }
        for mailbox in 0..self.mailboxes.len() {
            self.after_about_s(self.plan.change_gap_s, Event::Change(mailbox));
            self.after_about_s(2_400, Event::TreeChange(mailbox));
        }
        let second = |s: u64| Moment::default() + Duration::from_secs(s);
        for at in self.plan.restarts.clone() {
            let event = if self.rng.percent(40) { Event::Drain } else { Event::Restart { is_loud: self.rng.percent(50) } };
            self.at(second(at), event);
        }
        for (from, to) in self.plan.gaps.clone() {
            self.at(second(from), Event::SourceGone);
            let noticed = from + self.rng.range(0, NOTICED_MAX_S);
            if noticed < to {
                self.at(second(noticed), Event::SourceMissed);
            }
            self.at(second(to), Event::SourceBack);
        }
    }

    pub(super) fn change(&mut self, mailbox: usize) {
        if self.is_quiet() {
            return;
        }
        let gap_s = if self.rng.percent(25) { 5 } else { self.plan.change_gap_s };
        self.after_about_s(gap_s, Event::Change(mailbox));
        let present: Vec<usize> =
            (0..self.mailboxes[mailbox].folders.len()).filter(|f| self.mailboxes[mailbox].folders[*f].exists).collect();
        let folder = if self.rng.percent(50) { 0 } else { present[self.rng.below(present.len())] };
        for _ in 0..if self.rng.percent(10) { self.rng.range(2, 9) } else { 1 } {
            self.add_item(mailbox, folder, Item { by: None });
        }
    }

    /// Something new in a folder: the truth, what is promised for it, and the report.
    pub(super) fn add_item(&mut self, mailbox: usize, folder: usize, item: Item) {
        self.stats.changes += 1;
        let found = &mut self.mailboxes[mailbox];
        found.folders[folder].items.push(item);
        let index = found.folders[folder].items.len() - 1;
        let class = found.folders[folder].class();
        match self.plan.lag {
            None => found.folders[folder].visible = index + 1,
            Some(lag) if !found.refresh_pending => {
                found.refresh_pending = true;
                self.at(self.now + lag, Event::Refresh(mailbox));
            }
            Some(_) => {}
        }
        let promise = self.promise(self.plan.covered.contains(class));
        let now = self.now;
        for (number, device) in self.devices.iter_mut().enumerate() {
            if device.mailbox == mailbox && item.by != Some(number) && device.watches(folder, class) {
                device.clock.expect(Thing::Item { folder, index }, promise, now);
            }
        }
        if self.plan.covered.contains(class) {
            let scope = self.scope(mailbox, folder);
            self.report(mailbox, scope);
        }
    }

    /// What the gateway owes a device that does not know of something that happens now.
    fn promise(&self, is_covered: bool) -> Promise {
        match self.plan.source {
            _ if !is_covered => Promise::Polled,
            SourceKind::CallsIn if self.source.is_gone => Promise::Trust(self.plan.trust_s),
            _ if self.source.is_gone && self.source.is_covering => Promise::Later,
            _ if self.source.is_gone => Promise::Polled,
            // Whoever is forgotten between two Pings is a stranger at the next.
            _ if self.plan.is_crowded => Promise::Doubt,
            // A Sync may bring nothing yet: then it is in doubt once more.
            _ if self.plan.lag.is_some() => Promise::Doubt,
            _ => Promise::Reported,
        }
    }

    fn scope(&mut self, mailbox: usize, folder: usize) -> Scope {
        let class = self.mailboxes[mailbox].folders[folder].class();
        match self.rng.below(10) {
            0 => Scope::Mailbox,
            1 | 2 => Scope::Class(class),
            3 => Scope::FolderId(folder_id(folder)),
            _ if class != pushgate::logic::eas::Class::Email => Scope::Class(class),
            _ => Scope::FolderName(self.mailboxes[mailbox].path(folder).into()),
        }
    }

    /// The source reports, sooner or later, sometimes twice; or loses it.
    fn report(&mut self, mailbox: usize, scope: Scope) {
        if self.source.is_gone || self.plan.source == SourceKind::None {
            return;
        }
        let mut at =
            self.now + Duration::from_millis(if self.rng.percent(70) { self.rng.range(1, 50) } else { self.rng.range(50, NOTICE_MAX_MS) });
        if self.plan.renames {
            // Names mean something only in the order of what happened.
            at = at.max(self.source.last);
            self.source.last = at;
        }
        let stretch = self.source.stretch;
        if self.rng.percent(10) {
            let again = at + Duration::from_millis(self.rng.range(1, NOTICE_MAX_MS));
            if !self.plan.renames {
                self.at(again, Event::Notice { mailbox, scope: scope.clone(), stretch });
            }
        }
        self.at(at, Event::Notice { mailbox, scope, stretch });
    }

    pub(super) fn notice(&mut self, mailbox: usize, scope: Scope, stretch: u32) {
        if stretch != self.source.stretch || !self.shell.is_up {
            return;
        }
        let now_s = u64::from(self.now.seconds());
        if self.plan.full_inbox.iter().any(|(from, to)| (*from..*to).contains(&now_s)) {
            // The sender does not repeat it.
            self.shell.has_lost_reports = true;
            self.all_in_doubt();
            return self.plan_turn();
        }
        let number = self.next_number();
        let (hash, received) = (self.mailboxes[mailbox].hash, self.now);
        let change = MailboxChange { mailbox: self.mailboxes[mailbox].name.clone(), scope };
        self.send(Note::Changed { change, hash, number, received });
    }

    pub(super) fn refresh(&mut self, mailbox: usize) {
        let mailbox = &mut self.mailboxes[mailbox];
        mailbox.refresh_pending = false;
        mailbox.folders.iter_mut().for_each(|folder| folder.visible = folder.items.len());
    }

    pub(super) fn change_tree(&mut self, mailbox: usize) {
        if self.is_quiet() {
            return;
        }
        self.after_about_s(2_400, Event::TreeChange(mailbox));
        let found = &mut self.mailboxes[mailbox];
        let user_made: Vec<usize> = (0..found.folders.len()).filter(|f| found.folders[*f].kind == 12 && found.folders[*f].exists).collect();
        match self.rng.below(4) {
            0 if found.folders.len() < 12 => {
                let (name, parent) = (format!("New{}", found.folders.len()), self.rng.percent(30).then_some(0));
                found.create(&name, parent, 12);
            }
            1 if self.plan.renames && user_made.len() >= 2 => {
                // Two folders change their names: the worst for whoever goes by names.
                let (a, b) = (user_made[0], user_made[1]);
                if found.folders[a].parent != found.folders[b].parent {
                    return;
                }
                let name = std::mem::take(&mut found.folders[a].name);
                found.folders[a].name = std::mem::replace(&mut found.folders[b].name, name);
                found.touch(a);
                found.touch(b);
            }
            2 if user_made.len() > 2 => {
                let folder = user_made[user_made.len() - 1];
                found.folders[folder].exists = false;
                found.touch(folder);
                for device in self.devices.iter_mut().filter(|d| d.mailbox == mailbox) {
                    device.clock.unseen.retain(|unseen| !matches!(unseen.what, Thing::Item { folder: of, .. } if of == folder));
                }
            }
            _ => return,
        }
        let (tree, now) = (self.mailboxes[mailbox].tree, self.now);
        if self.plan.covers_hierarchy {
            let promise = match self.promise(true) {
                // Nobody polls a folder list.
                Promise::Polled => Promise::Later,
                promise => promise,
            };
            for device in self.devices.iter_mut().filter(|d| d.mailbox == mailbox && d.tree > 0) {
                device.clock.expect(Thing::Tree(tree), promise, now);
            }
            self.report(mailbox, Scope::Hierarchy);
        }
    }

    pub(super) fn source_gone(&mut self) {
        (self.source.is_gone, self.source.stretch) = (true, self.source.stretch + 1);
        // What was on its way is lost as well.
        let promise = if self.plan.source == SourceKind::CallsIn { Promise::Trust(self.plan.trust_s) } else { Promise::Later };
        let now = self.now;
        for device in &mut self.devices {
            device.clock.promise(promise, now, |unseen| !unseen.is_polled());
        }
    }

    /// The gateway notices: nothing is covered until the source is back.
    pub(super) fn source_missed(&mut self) {
        if self.plan.source != SourceKind::Connected {
            return;
        }
        self.source.is_covering = false;
        let number = self.next_number();
        self.send(Note::Coverage(self.plan.coverage(number, false)));
        let now = self.now;
        for device in &mut self.devices {
            // What nobody covers is not doubted because of an epoch, only polled.
            let is_polled_now = |unseen: &super::shadow::Unseen| unseen.is_later() || unseen.is_in_doubt();
            device.clock.promise(Promise::Polled, now, |unseen| is_polled_now(unseen) && matches!(unseen.what, Thing::Item { .. }));
        }
    }

    /// It reports again. The epoch's number is taken once it does.
    pub(super) fn source_back(&mut self) {
        self.source.is_gone = false;
        if self.plan.source != SourceKind::Connected {
            return;
        }
        self.source.is_covering = true;
        let number = self.next_number();
        self.send(Note::Coverage(self.plan.coverage(number, true)));
        self.all_in_doubt();
    }

    pub(super) fn all_in_doubt(&mut self) {
        let now = self.now;
        let covers_hierarchy = self.plan.covers_hierarchy;
        for device in &mut self.devices {
            device.clock.become_stranger(now);
            let is_promised =
                |unseen: &super::shadow::Unseen| !unseen.is_polled() && (covers_hierarchy || matches!(unseen.what, Thing::Item { .. }));
            // A Sync does not say what its folders hold. Until a FolderSync does, they have no class, and so no source.
            let promise = if device.manners.hangs { Promise::Polled } else { Promise::Doubt };
            device.clock.promise(promise, now, is_promised);
        }
    }

    pub(super) fn restart(&mut self, is_loud: bool) {
        self.begin_life(is_loud);
        let now = self.now;
        self.devices.iter_mut().for_each(|device| device.clock.become_stranger(now));
        if self.source.is_covering {
            self.all_in_doubt();
        }
    }

    pub(super) fn drain(&mut self) {
        let by = self.now + Duration::from_secs(20);
        self.shell.lot.drain(by, self.now);
        self.perform_outputs();
        self.after_lot();
        self.at(by + Duration::from_secs(2), Event::Restart { is_loud: true });
    }

    pub(super) fn trouble(&mut self, number: usize) {
        if self.is_quiet() {
            return;
        }
        self.after_about_s(self.plan.trouble_gap_s, Event::Trouble(number));
        match self.rng.below(10) {
            0 => self.devices[number].deaf = self.rng.range(1, 3) as u32,
            1..=3 => self.reset(number),
            _ => self.cut(number),
        }
        let now_s = self.now.seconds();
        if self.rng.percent(40) {
            self.devices[number].offline_until_s = (now_s + self.rng.range(1, 1_200) as u32).min(FAULTS_END_S as u32);
        }
    }

    /// All connections of a device go dead without a word.
    fn cut(&mut self, number: usize) {
        for connection in self.connections.values_mut().filter(|c| c.device == number) {
            connection.is_cut = true;
        }
        self.stop_all_clocks(number);
    }

    /// Both ends hear of it.
    fn reset(&mut self, number: usize) {
        let ours: Vec<u64> = self.connections.iter().filter(|(_, c)| c.device == number && !c.is_cut).map(|(id, _)| *id).collect();
        let waiting = self.devices[number].waiting_on(&self.requests);
        for id in ours {
            self.close_device_end(id);
        }
        for request in waiting {
            let is_ping = self.requests.get(&request).is_some_and(|r| matches!(r.what, What::Ping(_) | What::Hang { .. }));
            let ms = if is_ping { 20 } else { 200 };
            self.after_ms(ms, Event::Reply { request, reply: Reply::Broken });
        }
    }
}
