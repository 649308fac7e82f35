//! The log, on standard error: journal priorities under systemd, text on a terminal, JSON on demand.

use std::fmt;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{LogFormat, LogSettings};

/// Opens the log.
///
/// # Errors
///
/// When the filter cannot be read.
pub(super) fn open(settings: &LogSettings) -> Result<(), String> {
    let from_environment = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let (filter, place) = match &from_environment {
        Some(filter) => (filter.as_str(), "the variable RUST_LOG"),
        None => (settings.level.as_str(), "the key `level` of [log]"),
    };
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("{place} is no filter: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    let opened = match settings.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Auto if is_journal() => builder.with_ansi(false).event_format(Priorities::default()).try_init(),
        LogFormat::Auto | LogFormat::Text => builder.with_ansi(has_colours()).try_init(),
    };
    opened.map_err(|error| error.to_string())
}

fn has_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether standard error goes to the journal, as systemd tells by device and inode.
fn is_journal() -> bool {
    let Some(told) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    let own = std::fs::metadata("/proc/self/fd/2").map(|metadata| format!("{}:{}", metadata.dev(), metadata.ino()));
    own.is_ok_and(|own| own == told)
}

/// Lines that begin with the priority, as sd-daemon(3) has it; the journal keeps the time.
#[derive(Debug)]
struct Priorities(Format<Full, ()>);

impl Default for Priorities {
    fn default() -> Self {
        Self(Format::default().without_time().with_level(false).with_target(false).with_ansi(false))
    }
}

impl<S> FormatEvent<S, DefaultFields> for Priorities
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(context, writer, event)
    }
}
