//! What goes into statements and comes out of them.

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::{Fault, SqlError};
use crate::logic::policy::Timestamp;

/// A parameter or a column.
#[derive(Clone, PartialEq)]
pub(in crate::store) enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// Never printed: it may be a hash of a token or a sealed password.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Value::Null => "Null",
            Value::Int(_) => "Int(…)",
            Value::Text(_) => "Text(…)",
            Value::Bytes(_) => "Bytes(…)",
        })
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<u64> for Value {
    /// Numbers here are seconds, revisions and counts; none comes near 2^63.
    fn from(value: u64) -> Self {
        Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Value::Int(i64::from(value))
    }
}

impl From<u16> for Value {
    fn from(value: u16) -> Self {
        Value::Int(i64::from(value))
    }
}

impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Value::from(value.0)
    }
}

impl From<&str> for Value {
    /// PostgreSQL has no zero characters in texts; a device may send anything.
    fn from(value: &str) -> Self {
        Value::Text(if value.contains('\0') { value.replace('\0', "\u{FFFD}") } else { value.to_owned() })
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        if value.contains('\0') { Value::from(value.as_str()) } else { Value::Text(value) }
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Value::Bytes(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(value) if *kind == Type::INT4 => i32::try_from(*value)?.to_sql(kind, out),
            Value::Int(value) => value.to_sql(kind, out),
            Value::Text(value) => value.to_sql(kind, out),
            Value::Bytes(value) => value.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::INT4 | Type::TEXT | Type::VARCHAR | Type::BYTEA)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *kind {
            Type::INT8 => Value::Int(i64::from_sql(kind, raw)?),
            Type::INT4 => Value::Int(i64::from(i32::from_sql(kind, raw)?)),
            Type::BYTEA => Value::Bytes(Vec::from_sql(kind, raw)?),
            _ => Value::Text(String::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Value::Null)
    }

    fn accepts(kind: &Type) -> bool {
        <Value as ToSql>::accepts(kind)
    }
}

/// A row of an answer.
#[derive(Debug)]
pub(in crate::store) struct Row(pub(super) Vec<Value>);

/// What is stored is not what this program stores: somebody else wrote there.
fn strange(index: usize) -> SqlError {
    SqlError { fault: Fault::Refused, message: format!("column {index} of an answer is not of its type: the database was changed by hand") }
}

impl Row {
    pub(in crate::store) fn int(&self, index: usize) -> Result<i64, SqlError> {
        self.some_int(index)?.ok_or_else(|| strange(index))
    }

    pub(in crate::store) fn some_int(&self, index: usize) -> Result<Option<i64>, SqlError> {
        match self.0.get(index) {
            Some(Value::Int(value)) => Ok(Some(*value)),
            Some(Value::Null) => Ok(None),
            _ => Err(strange(index)),
        }
    }

    /// A revision, a count or an id of a row.
    pub(in crate::store) fn number(&self, index: usize) -> Result<u64, SqlError> {
        u64::try_from(self.int(index)?).map_err(|_| strange(index))
    }

    pub(in crate::store) fn time(&self, index: usize) -> Result<Timestamp, SqlError> {
        self.number(index).map(Timestamp)
    }

    pub(in crate::store) fn some_time(&self, index: usize) -> Result<Option<Timestamp>, SqlError> {
        self.some_int(index)?.map(|value| u64::try_from(value).map(Timestamp).map_err(|_| strange(index))).transpose()
    }

    pub(in crate::store) fn text(&self, index: usize) -> Result<&str, SqlError> {
        self.some_text(index)?.ok_or_else(|| strange(index))
    }

    pub(in crate::store) fn some_text(&self, index: usize) -> Result<Option<&str>, SqlError> {
        match self.0.get(index) {
            Some(Value::Text(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            _ => Err(strange(index)),
        }
    }

    pub(in crate::store) fn some_bytes(&self, index: usize) -> Result<Option<&[u8]>, SqlError> {
        match self.0.get(index) {
            Some(Value::Bytes(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            _ => Err(strange(index)),
        }
    }
}

/// `params![a, b]`: values of different types as parameters.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::store::sql::Value::from($value)),*] };
}
pub(in crate::store) use params;
