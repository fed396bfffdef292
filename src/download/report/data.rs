//! Reports as data of serde's: the same members as in `json.rs`.

use super::entry::{DownloadStatus, Entry};
use super::report::Report;
use crate::download::text::without_password;
use serde::ser::{Serialize, SerializeMap, Serializer};

impl Serialize for DownloadStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.in_json())
    }
}

impl<K: Serialize> Serialize for Entry<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entry = serializer.serialize_map(None)?;
        entry.serialize_entry("type", "file")?;
        entry.serialize_entry("key", self.key())?;
        entry.serialize_entry("url", &without_password(self.url()))?;
        entry.serialize_entry("file", self.file_name())?;
        entry.serialize_entry("status", &self.status())?;
        entry.serialize_entry("bytes", &self.bytes())?;
        entry.serialize_entry("retries", &self.retries())?;
        entry.serialize_entry("seconds", &self.elapsed().as_secs_f64())?;
        if let Some(url) = self.final_url() {
            entry.serialize_entry("final_url", url)?;
        }
        if let Some(code) = self.http_status() {
            entry.serialize_entry("http_status", &code)?;
        }
        if let Some((name, digest)) = self.digest() {
            entry.serialize_entry(name, &digest)?;
        }
        if let Some(error) = self.error() {
            entry.serialize_entry("kind", error.kind().as_str())?;
            entry.serialize_entry("error", &error.to_string())?;
        }
        entry.end()
    }
}

impl<K: Serialize> Serialize for Report<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_map(None)?;
        report.serialize_entry("type", "summary")?;
        for status in DownloadStatus::ALL {
            report.serialize_entry(status.in_json(), &self.count(status))?;
        }
        report.serialize_entry("bytes", &self.bytes())?;
        report.serialize_entry("retries", &self.retries())?;
        report.serialize_entry("seconds", &self.elapsed().as_secs_f64())?;
        report.serialize_entry("is_complete", &self.is_complete())?;
        report.serialize_entry("is_cancelled", &self.is_cancelled())?;
        report.serialize_entry("entries", self.entries())?;
        report.end()
    }
}
