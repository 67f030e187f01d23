//! The tables of other versions.

use pushgate::store::{OpenError, Store};

use crate::over_both;
use crate::scene::*;

over_both!(a_database_of_a_newer_program_is_left_alone, a_step_that_fails_leaves_the_tables_as_they_were, many_open_a_new_database_at_once);

async fn a_database_of_a_newer_program_is_left_alone(database: Database) {
    database.open().await.close().await;
    database.by_hand("UPDATE schema_version SET version = 99").unwrap();
    let error = Store::open(&database.settings()).await.err().expect("refused");
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error:?}");
    assert!(error.to_string().contains("start the newer pushgate"), "{error}");
}

async fn a_step_that_fails_leaves_the_tables_as_they_were(database: Database) {
    // The second step makes a table of this name, after another one.
    database.by_hand("CREATE TABLE audit (mine BIGINT)").unwrap();
    let error = Store::open(&database.settings()).await.err().expect("refused");
    assert!(matches!(error, OpenError::Migration { step: 2, .. }), "{error:?}");
    assert!(error.to_string().contains("as it was before"), "{error}");
    database.by_hand("SELECT version FROM schema_version").unwrap();
    assert!(database.by_hand("SELECT * FROM tokens").is_err(), "nothing of the second step is there");
    database.by_hand("SELECT * FROM devices").unwrap();
    database.by_hand("DROP TABLE audit").unwrap();
    database.open().await.close().await;
}

async fn many_open_a_new_database_at_once(database: Database) {
    let settings = database.settings();
    let (a, b, c, d) = tokio::join!(Store::open(&settings), Store::open(&settings), Store::open(&settings), Store::open(&settings));
    for store in [a, b, c, d] {
        store.unwrap_or_else(|error| panic!("{error}")).close().await;
    }
}
