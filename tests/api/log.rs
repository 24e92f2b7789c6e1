//! The log of this process, from the first test on that asks for it.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Everything that is logged, by whichever test: a line for each event, with its level, its target and its fields.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

/// The fields of one event.
struct Line(String);

/// The log. It is the whole process's: tests on other threads would switch call sites off that they meet first without a
/// subscriber.
pub(crate) fn log() -> Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    let begin = || {
        let log = Log::default();
        tracing::subscriber::set_global_default(log.clone()).unwrap();
        log
    };
    LOG.get_or_init(begin).clone()
}

impl Log {
    /// All lines so far.
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }

    /// The lines of a target that hold this text, as level and fields.
    pub(crate) fn lines(&self, target: &str, text: &str) -> Vec<String> {
        let is_meant = |line: &&String| line.contains(&format!(" {target} ")) && line.contains(text);
        let lines = self.0.lock().unwrap();
        lines.iter().filter(is_meant).map(|line| line.replace(&format!("{target} "), "")).collect()
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        self.0 +=
            &if field.name() == "message" { format!(" [{value}]") } else { format!(" {field}={value}") };
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(String::from("span"));
        span.record(&mut line);
        self.0.lock().unwrap().push(line.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line(String::from("span"));
        values.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line(format!("{} {}", metadata.level(), metadata.target()));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
