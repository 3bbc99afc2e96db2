//! Series of sealed records `<folder>/<n>`: what is noted of a backup, what was expired of an archive.
//!
//! Records are only ever put: n counts from 1, in ten digits, and who finds a number taken takes the next. A listing may
//! hide what was put a moment ago, so a reader asks for the next number until there is none. A record that is damaged,
//! of another version, or gone from among the others may have said anything: it is named, and who decides must know.

use grap_repository::{ObjectError, Repository, RepositoryError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::in_one_line;

pub(crate) struct Series<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) folder: String,
    /// Of each record. One of another version cannot be read.
    pub(crate) version: u32,
}

/// Every record, in order.
pub(crate) struct Records<T> {
    pub(crate) readable: Vec<T>,
    /// Why one cannot be read, naming it.
    pub(crate) unreadable: Vec<String>,
    /// The last number that is taken; 0: there is none.
    pub(crate) newest: u64,
}

impl Series<'_> {
    /// The newest number that a listing shows.
    pub(crate) fn listed(&self) -> grap_repository::Result<u64> {
        let objects = self.repository.list_sealed(&self.folder)?;
        Ok(objects.iter().filter_map(|object| number_of(object.base_name())).max().unwrap_or(0))
    }

    /// All of them, of which so many were listed.
    pub(crate) fn read<T: DeserializeOwned>(&self, listed: u64) -> grap_repository::Result<Records<T>> {
        let mut records = Records { readable: Vec::new(), unreadable: Vec::new(), newest: 0 };
        for number in 1.. {
            let name = self.object(number);
            match self.repository.get_sealed(&name) {
                Ok(bytes) => match self.parse(&bytes) {
                    Ok(record) => records.readable.push(record),
                    Err(why) => records.unreadable.push(format!("{name}: {why}")),
                },
                Err(RepositoryError::Object(ObjectError::NotFound { .. })) if number > listed => break,
                Err(RepositoryError::Object(ObjectError::NotFound { .. })) => {
                    records.unreadable.push(format!("{name}: it is missing"));
                }
                Err(error @ RepositoryError::Damaged { .. }) => records.unreadable.push(in_one_line(&error)),
                Err(error) => return Err(error),
            }
            records.newest = number;
        }
        Ok(records)
    }

    /// One of them; `None` where it is missing or cannot be read.
    pub(crate) fn readable<T: DeserializeOwned>(&self, number: u64) -> grap_repository::Result<Option<T>> {
        match self.repository.get_sealed(&self.object(number)) {
            Ok(bytes) => Ok(self.parse(&bytes).ok()),
            Err(RepositoryError::Damaged { .. } | RepositoryError::Object(ObjectError::NotFound { .. })) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Put a record behind this number, under the next that is free; `record` is told which that is.
    pub(crate) fn put<T: Serialize>(
        &self,
        newest: u64,
        record: impl Fn(u64) -> T,
    ) -> grap_repository::Result<u64> {
        let mut number = newest + 1;
        loop {
            let bytes = serde_json::to_vec(&record(number)).expect("a record is plain data");
            match self.repository.put_sealed(&self.object(number), &bytes) {
                Ok(()) => return Ok(number),
                Err(RepositoryError::Object(ObjectError::AlreadyExists { .. })) => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn object(&self, number: u64) -> String {
        format!("{}/{number:010}", self.folder)
    }

    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, String> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if head.version != self.version {
            return Err(format!("it has version {}; this program knows {}", head.version, self.version));
        }
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }
}

/// The number that a record is called by.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let plain = name.len() == 10 && name.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| name.parse().ok())?
}
