//! Reports as data of serde's: the same members as in `json.rs`.

use super::entry::{DownloadStatus, Entry};
use super::report::Report;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

impl Serialize for DownloadStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<K: Serialize> Serialize for Entry<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members = if self.error().is_some() { 7 } else { 6 };
        let mut entry = serializer.serialize_struct("Entry", members)?;
        entry.serialize_field("key", self.key())?;
        entry.serialize_field("url", self.url())?;
        entry.serialize_field("file", self.file_name())?;
        entry.serialize_field("status", &self.status())?;
        entry.serialize_field("bytes", &self.bytes())?;
        entry.serialize_field("retries", &self.retries())?;
        match self.error() {
            Some(error) => entry.serialize_field("error", &error.to_string())?,
            None => entry.skip_field("error")?,
        }
        entry.end()
    }
}

impl<K: Serialize> Serialize for Report<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_map(None)?;
        for status in DownloadStatus::ALL {
            report.serialize_entry(&status.to_string(), &self.count(status))?;
        }
        report.serialize_entry("bytes", &self.bytes())?;
        report.serialize_entry("retries", &self.retries())?;
        report.serialize_entry("elapsed", &self.elapsed().as_secs_f64())?;
        report.serialize_entry("entries", self.entries())?;
        report.end()
    }
}
