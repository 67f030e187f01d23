//! A lot with 100,000 mailboxes: finding one, and whole turns of a held Ping up to the bytes of its answer.

use std::hint::black_box;

use pushgate::logic::answer::write_answer;
use pushgate::logic::eas::{Mailbox, PingRequest};
use pushgate::logic::hold::lot::Who;
use pushgate::logic::hold::{MailboxChange, Offer, Outcome, Scope};

use super::crowd::{Connection, Crowd, MANY, STEPS, hash};
use super::{Part, Work};

pub fn parts() -> Vec<Part> {
    let steps = STEPS as u64;
    vec![
        Part { name: "find_device", what: "find a device among 100,000 mailboxes", steps, prepare: || Box::new(Find(Crowd::new())) },
        Part { name: "change_nobody", what: "a change for a mailbox nobody has", steps, prepare: || Box::new(Changes::of_strangers()) },
        Part { name: "change_unwatched", what: "a change in a folder nobody watches", steps, prepare: || Box::new(Changes::unwatched()) },
        Part {
            name: "lot_wake",
            what: "held → change → answer written",
            steps,
            prepare: || Box::new(Wake { changes: Changes::watched(), scratch: Scratch::default() }),
        },
        Part {
            name: "lot_turn", what: "request → offer → held → change → answer written", steps, prepare: || Box::new(Turn::new())
        },
        Part {
            name: "lot_expire",
            what: "held → heartbeat over → answer written → offer → held",
            steps,
            prepare: || Box::new(Expire::new()),
        },
    ]
}

/// Buffers for answers, as a lot thread has them.
#[derive(Default)]
struct Scratch {
    body: Vec<u8>,
    out: Vec<u8>,
}

impl Scratch {
    fn write(&mut self, outcome: &Outcome) {
        self.out.clear();
        write_answer(outcome, false, "Thu, 01 Jan 1970 00:00:00 GMT", &mut self.body, &mut self.out);
        black_box(&self.out);
    }
}

struct Find(Crowd);

impl Work for Find {
    fn ready(&mut self) {
        self.0.go_on();
    }

    fn run(&mut self) {
        for person in self.0.turn().map(|index| &self.0.people[index]) {
            let who = Who { hash: black_box(person.hash), mailbox: &person.mailbox, device: &person.device };
            assert!(black_box(self.0.lot.registry().find(&who)).is_some(), "everybody is known");
        }
    }
}

/// Changes of one kind.
struct Changes {
    crowd: Crowd,
    make: fn(&Crowd, usize) -> (MailboxChange, u64),
    changes: Vec<(MailboxChange, u64)>,
}

impl Changes {
    fn new(make: fn(&Crowd, usize) -> (MailboxChange, u64)) -> Self {
        Changes { crowd: Crowd::new(), make, changes: Vec::new() }
    }

    fn of_strangers() -> Self {
        Changes::new(|_, index| {
            let mailbox = Mailbox::normalise(&format!("nobody.{index:06}"), Some("example.org"), true).expect("a name");
            (MailboxChange { mailbox, scope: Scope::FolderName("INBOX".into()) }, hash(index + MANY))
        })
    }

    fn unwatched() -> Self {
        Changes::new(|crowd, index| (crowd.mail(index, "Project 6"), crowd.people[index].hash))
    }

    fn watched() -> Self {
        Changes::new(|crowd, index| (crowd.mail(index, "INBOX"), crowd.people[index].hash))
    }

    fn prepare(&mut self) {
        self.changes.clear();
        self.changes.extend(self.crowd.turn().map(|index| (self.make)(&self.crowd, index)));
    }
}

impl Work for Changes {
    fn ready(&mut self) {
        self.crowd.go_on();
        self.prepare();
    }

    fn run(&mut self) {
        for (change, hash) in &self.changes {
            let woken = self.crowd.change(black_box(change), *hash);
            assert_eq!(woken, 0, "nobody watches that");
        }
    }
}

struct Wake {
    changes: Changes,
    scratch: Scratch,
}

impl Work for Wake {
    fn ready(&mut self) {
        let crowd = &mut self.changes.crowd;
        crowd.go_on();
        for index in crowd.turn() {
            crowd.sync(index);
            crowd.hold(index, crowd.offer(index, PingRequest::default()));
        }
        self.changes.prepare();
    }

    fn run(&mut self) {
        let Changes { crowd, changes, .. } = &mut self.changes;
        for (change, hash) in changes.iter() {
            assert_eq!(crowd.change(black_box(change), *hash), 1, "one device watches it");
            let (_, outcome) = crowd.answer().expect("it was woken");
            self.scratch.write(&outcome);
        }
    }
}

/// A device's request comes on an idle connection; it is held, woken, and idle again.
struct Turn {
    crowd: Crowd,
    scratch: Scratch,
    changes: Vec<MailboxChange>,
    pings: Vec<Offer<Connection>>,
}

impl Turn {
    fn new() -> Self {
        Turn { crowd: Crowd::new(), scratch: Scratch::default(), changes: Vec::new(), pings: Vec::new() }
    }
}

impl Work for Turn {
    fn ready(&mut self) {
        let Turn { crowd, changes, pings, .. } = self;
        crowd.go_on();
        changes.clear();
        pings.clear();
        for index in crowd.turn() {
            crowd.idle(index);
            changes.push(crowd.mail(index, "INBOX"));
        }
        // The last comes out first.
        pings.extend(crowd.turn().map(|index| crowd.offer(index, PingRequest::default())));
        pings.reverse();
    }

    fn run(&mut self) {
        let Turn { crowd, scratch, changes, pings } = self;
        for (index, change) in crowd.turn().zip(changes.iter()) {
            crowd.hold(index, pings.pop().expect("as many Pings as turns"));
            let hash = crowd.people[index].hash;
            assert_eq!(crowd.change(black_box(change), hash), 1, "one device watches it");
            let (_, outcome) = crowd.answer().expect("it was woken");
            scratch.write(&outcome);
        }
    }
}

/// Heartbeats end one after the other, and each device sends its Ping again at once.
struct Expire {
    crowd: Crowd,
    scratch: Scratch,
    /// Whose Ping has been answered and comes again.
    answered: Vec<u32>,
}

impl Expire {
    fn new() -> Self {
        Expire { crowd: Crowd::new(), scratch: Scratch::default(), answered: Vec::new() }
    }
}

impl Work for Expire {
    fn run(&mut self) {
        let Expire { crowd, scratch, answered } = self;
        let mut left = STEPS;
        while left > 0 {
            crowd.now = crowd.now.max(crowd.lot.poll_timeout().expect("timers are set"));
            crowd.lot.advance(crowd.now, left);
            while let Some((slot, outcome)) = crowd.answer() {
                assert_eq!(outcome, Outcome::Expired);
                scratch.write(&outcome);
                answered.push(crowd.whose[slot.index as usize]);
            }
            left -= answered.len();
            for index in answered.drain(..) {
                crowd.hold(index as usize, crowd.offer(index as usize, PingRequest::default()));
            }
        }
    }
}
