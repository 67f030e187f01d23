//! One set of behaviours over both databases, with real servers: SQLite files, and a PostgreSQL of Debian's package that the tests start
//! for themselves. What only one of them can do wrong stands in its own file.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod access;
mod administrators;
mod assignments;
mod away;
mod devices;
mod disk_full;
mod killed;
mod lists;
mod migrations;
mod numbers;
mod postgres;
mod processes;
mod retention;
mod scene;
mod secrets;
mod wipes;

/// Each behaviour as a test of its own, once for SQLite and once for PostgreSQL.
macro_rules! over_both {
    ($($behaviour:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $behaviour() {
                crate::scene::run(super::$behaviour(crate::scene::Database::sqlite()));
            })+
        }
        mod postgres {
            $(#[test]
            fn $behaviour() {
                crate::scene::run(super::$behaviour(crate::scene::Database::postgres()));
            })+
        }
    };
}
pub(crate) use over_both;
