//! One reading: connect, bind, groups, then people; all of it or a failure.

use std::collections::{HashMap, HashSet};

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchEntry, StdStream, ldap_escape};

use super::connect::Connector;
use super::failure::Failure;
use crate::config::limits::{DIRECTORY_ANSWER, DIRECTORY_GROUPS_MAX, DIRECTORY_MEMBERS_MAX, DIRECTORY_NAMES_TOLD, DIRECTORY_READING};
use crate::config::{self, GROUP_MARK};
use crate::logic::directory::Dn;
use crate::logic::directory::members::{self, Group, GroupEntry, Member};
use crate::logic::eas::{Mailbox, Naming};
use crate::logic::policy::assign;

/// What was found.
pub(super) struct Reading {
    pub(super) groups: Vec<Group>,
    /// Members that are neither a group nor a person with a mailbox.
    pub(super) strangers: usize,
    /// Groups that cannot be taken, by name, some of them.
    pub(super) skipped: Vec<String>,
}

impl Reading {
    /// Members of all groups together.
    pub(super) fn memberships(&self) -> usize {
        self.groups.iter().map(|group| group.mailboxes.len()).sum()
    }
}

/// Reads everything. A task of its own: whatever goes wrong inside the library ends the reading and nothing else.
pub(super) async fn read(settings: &config::Directory, naming: &Naming, connector: &Connector) -> Result<Reading, Failure> {
    let link = tokio::time::timeout(DIRECTORY_READING, connector.connect(settings)).await.unwrap_or(Err(Failure::Late))?;
    let (relay, stream) = (link.relay, link.stream);
    let session = Session { settings: settings.clone(), naming: naming.clone() };
    let mut work = tokio::spawn(session.run(stream));
    let done = tokio::time::timeout(DIRECTORY_READING, &mut work).await;
    let done = match done {
        Ok(Ok(done)) => done,
        // It panicked on what it read.
        Ok(Err(_)) => Err(Failure::Unsound),
        Err(_) => {
            work.abort();
            Err(Failure::Late)
        }
    };
    let Err(failure) = done else {
        relay.abort();
        return done;
    };
    // The library only knows that the connection ended; the relay knows why.
    let is_broken = matches!(failure, Failure::Unreachable(_)) && relay.is_finished();
    if is_broken && let Ok(Err(reason)) = relay.await {
        return Err(reason);
    }
    Err(failure)
}

struct Session {
    settings: config::Directory,
    naming: Naming,
}

/// A group that was found: what goes into the answer, and how its entry is spelt.
struct Found {
    entry: GroupEntry,
    spelling: String,
}

impl Session {
    async fn run(self, stream: std::os::unix::net::UnixStream) -> Result<Reading, Failure> {
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(stream));
        // The address is the stream's.
        let (driver, mut ldap) = LdapConnAsync::with_settings(settings, "ldapi:///").await.map_err(Failure::of)?;
        let driver = tokio::spawn(driver.drive());
        let done = self.read(&mut ldap).await;
        // Said for the server's sake; there is nothing to do about an error.
        let _ = ldap.unbind().await;
        driver.abort();
        done
    }

    async fn read(&self, ldap: &mut Ldap) -> Result<Reading, Failure> {
        let Session { settings, .. } = self;
        if !settings.bind_dn.is_empty() {
            let answer = ldap.with_timeout(DIRECTORY_ANSWER).simple_bind(&settings.bind_dn, settings.password.reveal()).await;
            let answer = answer.map_err(Failure::of)?;
            if answer.rc != 0 {
                return Err(Failure::of_answer(&answer));
            }
        }
        let (mut found, skipped, unreadable) = self.groups(ldap).await?;
        let mut people = HashMap::new();
        match &settings.members_filter {
            Some(filter) => self.search_members(ldap, filter, &mut found).await?,
            None => {
                let entries: Vec<GroupEntry> = found.iter().map(|found| found.entry.clone()).collect();
                let wanted = members::wanted(&entries);
                if !wanted.is_empty() {
                    people = self.people(ldap, &wanted).await?;
                }
            }
        }
        let entries: Vec<GroupEntry> = found.into_iter().map(|found| found.entry).collect();
        let resolved = members::resolve(&entries, &people, DIRECTORY_MEMBERS_MAX).map_err(|_| Failure::TooMany)?;
        Ok(Reading { groups: resolved.groups, strangers: resolved.strangers + unreadable, skipped })
    }

    /// All groups, the names of those that cannot be taken, and how many members make no sense.
    async fn groups(&self, ldap: &mut Ldap) -> Result<(Vec<Found>, Vec<String>, usize), Failure> {
        let Session { settings, naming } = self;
        let (mut found, mut skipped, mut unreadable, mut count) = (Vec::new(), Vec::new(), 0, 0);
        let by_member = settings.members_filter.is_none();
        let mut attributes = vec![settings.name.clone()];
        attributes.extend(by_member.then(|| settings.member.clone()));
        self.search(ldap, &settings.base, &settings.filter, attributes, |entry| {
            let name = values(&entry, &settings.name).next().map_or_else(String::new, |name| name.trim().to_owned());
            let (dn, is_name) = (Dn::parse(&entry.dn), assign::is_name(&name));
            if dn.is_none() || !is_name {
                skipped.push(if name.is_empty() { entry.dn.clone() } else { name.clone() });
            }
            let Some(dn) = dn else { return Ok(()) };
            let mut group = GroupEntry { dn, name: is_name.then_some(name), members: Vec::new() };
            if by_member {
                if let Some(piece) = entry.attrs.keys().find(|key| is_piece(key, &settings.member)) {
                    return Err(Failure::Pieces(piece.clone()));
                }
                // One value that is no text, and ldap3 has none of them as texts: the group would come out empty.
                if entry.bin_attrs.keys().any(|key| key.eq_ignore_ascii_case(&settings.member)) {
                    return Err(Failure::Unsound);
                }
                group.members = values(&entry, &settings.member).filter_map(|value| members::member(value, naming)).collect();
                unreadable += values(&entry, &settings.member).count() - group.members.len();
                count += group.members.len();
            }
            found.push(Found { entry: group, spelling: entry.dn });
            if found.len() > DIRECTORY_GROUPS_MAX || count > DIRECTORY_MEMBERS_MAX { Err(Failure::TooMany) } else { Ok(()) }
        })
        .await?;
        // Of two with one name the first by its entry stays, whichever the directory gives first.
        found.sort_by(|a, b| a.entry.dn.cmp(&b.entry.dn));
        let mut names = HashSet::new();
        for group in &mut found {
            if let Some(name) = group.entry.name.take_if(|name| !names.insert(name.clone())) {
                skipped.push(name);
            }
        }
        skipped.sort_unstable();
        skipped.truncate(DIRECTORY_NAMES_TOLD);
        Ok((found, skipped, unreadable))
    }

    /// The mailboxes of those that some group names.
    async fn people(&self, ldap: &mut Ldap, wanted: &HashSet<&Dn>) -> Result<HashMap<Dn, Vec<Mailbox>>, Failure> {
        let settings = &self.settings;
        let mut people = HashMap::new();
        self.search(ldap, &settings.people_base, &settings.people_filter, vec![settings.mailbox.clone()], |entry| {
            if let Some(dn) = Dn::parse(&entry.dn).filter(|dn| wanted.contains(dn)) {
                let mailboxes = self.mailboxes(&entry);
                if !mailboxes.is_empty() {
                    people.insert(dn, mailboxes);
                }
            }
            Ok(())
        })
        .await?;
        Ok(people)
    }

    /// People are asked for group by group.
    async fn search_members(&self, ldap: &mut Ldap, filter: &str, found: &mut [Found]) -> Result<(), Failure> {
        let settings = &self.settings;
        let mut count = 0;
        for group in found {
            let of_group = filter.replace(GROUP_MARK, &ldap_escape(group.spelling.as_str()));
            let filter = format!("(&{}{of_group})", settings.people_filter);
            let members = &mut group.entry.members;
            self.search(ldap, &settings.people_base, &filter, vec![settings.mailbox.clone()], |entry| {
                let mailboxes = self.mailboxes(&entry);
                count += mailboxes.len();
                members.extend(mailboxes.into_iter().map(Member::Mailbox));
                if count > DIRECTORY_MEMBERS_MAX { Err(Failure::TooMany) } else { Ok(()) }
            })
            .await?;
        }
        Ok(())
    }

    fn mailboxes(&self, entry: &SearchEntry) -> Vec<Mailbox> {
        values(entry, &self.settings.mailbox).filter_map(|value| self.naming.mailbox(value)).collect()
    }

    /// Every entry below `base` that matches, a page at a time.
    async fn search(
        &self,
        ldap: &mut Ldap,
        base: &str,
        filter: &str,
        attributes: Vec<String>,
        mut each: impl FnMut(SearchEntry) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        type Attributes = Vec<String>;
        let adapters: Vec<Box<dyn Adapter<'_, String, Attributes>>> =
            vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(self.settings.page_size))];
        let search = ldap.with_timeout(DIRECTORY_ANSWER).streaming_search_with(adapters, base, Scope::Subtree, filter, attributes);
        let mut entries = search.await.map_err(Failure::of)?;
        while let Some(entry) = entries.next().await.map_err(Failure::of)? {
            each(SearchEntry::construct(entry))?;
        }
        let answer = entries.finish().await;
        if answer.rc == 0 { Ok(()) } else { Err(Failure::of(LdapError::LdapResult { result: answer })) }
    }
}

/// The texts of an attribute, whose name is compared without case.
fn values<'a>(entry: &'a SearchEntry, name: &str) -> impl Iterator<Item = &'a str> {
    let found = entry.attrs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.into_iter().flat_map(|(_, values)| values).map(String::as_str)
}

/// `member;range=0-1499` is a piece of `member`.
fn is_piece(key: &str, name: &str) -> bool {
    let (key, name) = (key.to_ascii_lowercase(), name.to_ascii_lowercase());
    key.strip_prefix(&name).is_some_and(|options| options.starts_with(";range="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_directorys_pieces_are_noticed() {
        assert!(is_piece("Member;Range=0-1499", "member") && is_piece("member;range=1500-*", "member"));
        assert!(!is_piece("member", "member") && !is_piece("memberOf;range=0-1", "member") && !is_piece("member;lang-de", "member"));
    }
}
