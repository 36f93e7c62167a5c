//! Log lines: one per request or message, as one JSON object, with its metrics beside.
//!
//! The fields are those of [`Line`] and no others: there is no place to put a payload, a header or a personal field.
//! Metrics are in CloudWatch's
//! [embedded format](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).

use std::io::Write;

use jiff::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// How much a line wants to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// As usual.
    #[default]
    Info,
    /// Somebody else's mistake, or a try that will be repeated.
    Warn,
    /// Ours.
    Error,
}

/// Counts, as metrics of the namespace `Plixo` with the dimension `function`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct Metrics {
    /// Requests or messages.
    pub requests: u32,
    /// Refused for what they were.
    pub refused: u32,
    /// Refused for their signature.
    pub signature_failures: u32,
    /// Not done by our own fault or AWS's.
    pub errors: u32,
    /// Event ids that came again with other bytes.
    pub conflicts: u32,
    /// What is not done in the time that was promised for it, or is about not to be.
    pub late: u32,
    /// From beginning to end, milliseconds.
    pub duration_ms: f64,
}

/// One line. `docs/LOGGING.md` says what each field means.
#[derive(Debug, Clone, Serialize, Default)]
#[expect(missing_docs, reason = "docs/LOGGING.md")]
pub struct Line {
    pub level: Level,
    pub timestamp: Timestamp,
    pub span: &'static str,
    pub request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cards_redacted: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_ms: Option<i64>,
    pub aws_calls: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(flatten)]
    pub metrics: Metrics,
    pub function: &'static str,
    #[serde(rename = "_aws")]
    pub embedded: Embedded,
}

/// Tells CloudWatch which of a line's fields are metrics.
#[derive(Debug, Clone, Copy, Default)]
pub struct Embedded {
    /// When, milliseconds since 1970.
    pub timestamp: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [[&'static str; 1]; 1],
    metrics: [Metric; 7],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

const fn count(name: &'static str) -> Metric {
    Metric { name, unit: "Count" }
}

const DIRECTIVE: [Directive; 1] = [Directive {
    namespace: "Plixo",
    dimensions: [["function"]],
    metrics: [
        count("requests"),
        count("refused"),
        count("signature_failures"),
        count("errors"),
        count("conflicts"),
        count("late"),
        Metric { name: "duration_ms", unit: "Milliseconds" },
    ],
}];

impl Serialize for Embedded {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(2))?;
        map.serialize_entry("Timestamp", &self.timestamp)?;
        map.serialize_entry("CloudWatchMetrics", &DIRECTIVE)?;
        map.end()
    }
}

/// A duration in milliseconds, to the microsecond.
#[must_use]
#[expect(clippy::float_arithmetic, reason = "a duration for people and graphs, not money")]
pub fn millis(duration: std::time::Duration) -> f64 {
    f64::from(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)) / 1000.0
}

impl Line {
    /// The line as its bytes, with the newline.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1024);
        // A line of text and numbers always has a JSON form.
        if serde_json::to_writer(&mut bytes, self).is_err() {
            bytes.clear();
        }
        bytes.push(b'\n');
        bytes
    }

    /// Writes the line in one piece, so that lines of concurrent messages do not mix.
    pub fn emit(&self) {
        // Where standard output is gone, there is nobody left to tell.
        let _ = std::io::stdout().lock().write_all(&self.bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object_with_its_metrics() {
        let line = Line {
            function: "webhook-stripe",
            span: "request",
            status: Some(400),
            outcome: "no_matching_signature",
            metrics: Metrics { requests: 1, refused: 1, duration_ms: 0.25, ..Metrics::default() },
            embedded: Embedded { timestamp: 1_700_000_000_000 },
            ..Line::default()
        };
        let bytes = line.bytes();
        assert_eq!(bytes.iter().filter(|b| **b == b'\n').count(), 1);
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let directive = &json["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "Plixo");
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(json[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
        }
        for dimension in directive["Dimensions"][0].as_array().unwrap() {
            assert!(json[dimension.as_str().unwrap()].is_string(), "{dimension}");
        }
        assert_eq!(json["level"], "INFO");
    }
}
