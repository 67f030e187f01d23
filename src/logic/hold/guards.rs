//! Switches that the simulation uses to show that it can fail; nothing else touches them.

/// One guard for each window through which a wake could get lost. All are on; without one, wakes do get lost.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// A change between a Sync's answer and the Ping is recorded although no Ping is held.
    pub sync_to_ping: bool,
    /// A Ping is registered before the backend is asked: changes during a check are recorded.
    pub check_to_registration: bool,
    /// An answer proves nothing: what it told of stays dirty until a Sync.
    pub dead_connection: bool,
    /// What was not proven since the start, or since the sources' present epoch, is in doubt.
    pub restart: bool,
    /// A new folder list forgets nothing of what changed under the old one.
    pub list_replaced: bool,
    /// A folder whose name is not known may be the one that a source names.
    pub not_learnt: bool,
    /// A Sync that follows a wake and brings nothing is not the last word.
    pub outrun: bool,
    /// What a full inbox may have lost puts everything covered in doubt.
    pub full_inbox: bool,
}

impl Default for Guards {
    fn default() -> Self {
        Guards {
            sync_to_ping: true,
            check_to_registration: true,
            dead_connection: true,
            restart: true,
            list_replaced: true,
            not_learnt: true,
            outrun: true,
            full_inbox: true,
        }
    }
}
