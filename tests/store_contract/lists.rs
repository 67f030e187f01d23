//! Lists of devices: filters and pages.

use pushgate::logic::policy::Timestamp;
use pushgate::store::DeviceFilter;

use crate::over_both;
use crate::scene::*;

over_both!(pages_follow_each_other_without_gap_or_repeat, filters_narrow);

async fn pages_follow_each_other_without_gap_or_repeat(database: Database) {
    let store = database.open().await;
    for n in 0..25 {
        comes(&store, &mailbox(&format!("u{}", n % 5)), &format!("d{n:02}")).await;
    }
    let (mut after, mut seen, mut pages) = (0, Vec::new(), 0);
    loop {
        let page = store.devices(DeviceFilter::default(), after, 10).await.unwrap();
        seen.extend(page.devices.iter().map(|stored| stored.partnership.device_id.to_string()));
        pages += 1;
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(seen, (0..25).map(|n| format!("d{n:02}")).collect::<Vec<_>>());
    assert_eq!(pages, 3);
    assert_eq!(store.devices(DeviceFilter::default(), 0, 25).await.unwrap().next, None, "a full last page is the last");
}

async fn filters_narrow(database: Database) {
    let store = database.open().await;
    for (who, id) in [("anna", "x1"), ("anna", "x2"), ("bert", "x1")] {
        comes(&store, &mailbox(who), id).await;
    }
    let count = async |filter| store.devices(filter, 0, 10).await.unwrap().devices.len();
    let of_anna = DeviceFilter { mailbox: Some(mailbox("anna")), ..Default::default() };
    assert_eq!(count(of_anna.clone()).await, 2);
    let x1 = DeviceFilter { device_id: Some(device_id("X1")), ..Default::default() };
    assert_eq!(count(x1.clone()).await, 2);
    assert_eq!(count(DeviceFilter { mailbox: of_anna.mailbox, ..x1 }).await, 1);
    for (search, expected) in [("anna", 2), ("A*x2", 1), ("*", 3), ("smartphone", 3), ("apple-iphone", 3), ("nokia", 0), ("", 3)] {
        assert_eq!(count(DeviceFilter { search: Some(search.into()), ..Default::default() }).await, expected, "{search}");
    }
    for (before, expected) in [(Timestamp(1), 0), (Timestamp(u64::from(u32::MAX)), 3)] {
        assert_eq!(count(DeviceFilter { last_seen_before: Some(before), ..Default::default() }).await, expected);
    }
}
