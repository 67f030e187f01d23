//! What passing traffic teaches a lot, for a device among 100,000 mailboxes.

use std::hint::black_box;

use pushgate::config::limits::TABLE_FOLDERS_MAX;
use pushgate::logic::eas::folder_sync::FolderChange;

use super::crowd::{Crowd, STEPS};
use super::{Part, Work, wbxml};

pub fn parts() -> Vec<Part> {
    let steps = STEPS as u64;
    vec![
        Part { name: "learn_sync", what: "a Sync brought 7 folders in step", steps, prepare: || Box::new(Sync(Crowd::new())) },
        Part { name: "learn_folders", what: "a FolderSync taught 30 folders anew", steps, prepare: || Box::new(Folders::new()) },
        Part {
            name: "learn_chain",
            what: "1,000 nested folders, the innermost first, and none",
            steps: 1,
            prepare: || Box::new(Chain::new()),
        },
    ]
}

struct Sync(Crowd);

impl Work for Sync {
    fn ready(&mut self) {
        self.0.go_on();
        self.0.turn().for_each(|index| self.0.idle(index));
    }

    fn run(&mut self) {
        self.0.turn().for_each(|index| self.0.sync(black_box(index)));
    }
}

struct Folders {
    crowd: Crowd,
    list: Vec<FolderChange>,
}

impl Folders {
    fn new() -> Self {
        Folders { crowd: Crowd::new(), list: wbxml::folder_list(30) }
    }
}

impl Work for Folders {
    fn ready(&mut self) {
        self.crowd.go_on();
        // What they know is one list or the other, by the time it is their turn again: this makes it the same.
        self.crowd.turn().for_each(|index| self.crowd.idle(index));
        let Folders { crowd, list } = self;
        crowd.turn().for_each(|index| crowd.lot.learnt(&crowd.people[index].who(), true, list, crowd.number, crowd.now));
    }

    fn run(&mut self) {
        let Folders { crowd, list } = self;
        for index in crowd.turn() {
            crowd.lot.learnt(&crowd.people[index].who(), true, black_box(list), crowd.number, crowd.now);
        }
    }
}

/// What costs most, in a bad mailbox or from a bad server: every folder is listed before the one it is in.
struct Chain {
    crowd: Crowd,
    list: Vec<FolderChange>,
}

impl Chain {
    fn new() -> Self {
        let mut list = wbxml::folder_list(TABLE_FOLDERS_MAX);
        for (number, change) in list.iter_mut().enumerate().skip(2) {
            if let FolderChange::Add(folder) = change {
                folder.parent = wbxml::folder_id(number - 1);
            }
        }
        list.reverse();
        Chain { crowd: Crowd::new(), list }
    }
}

impl Work for Chain {
    fn run(&mut self) {
        let Chain { crowd, list } = self;
        for list in [black_box(&list[..]), &[]] {
            crowd.lot.learnt(&crowd.people[0].who(), true, list, crowd.number, crowd.now);
        }
    }
}
