//! The log, on standard error: journal priorities under systemd, text on a terminal, JSON on demand.

use std::fmt;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;

use tracing::field::Field;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Format, Full, Writer, debug_fn};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{LogFormat, LogSettings};
use crate::core::text::Text;
use crate::daemon::log_sink;

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
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("{place} is not a filter: {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| log_sink::Line)
        // It would be told on standard error, by a print that panics.
        .log_internal_errors(false)
        .with_target(false);
    log_sink::open();
    let clean = debug_fn(clean).delimited(" ");
    let opened = match settings.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Auto if is_journal() => {
            builder.with_ansi(false).fmt_fields(clean).event_format(Priorities::default()).try_init()
        }
        LogFormat::Auto | LogFormat::Text => builder.with_ansi(has_colours()).fmt_fields(clean).try_init(),
    };
    opened.map_err(|error| error.to_string())
}

/// Whatever an event says is one clean line, wherever its words come from: other libraries log, too.
fn clean(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let text = Text::new(&format!("{value:?}"));
    if field.name() == "message" { write!(writer, "{text}") } else { write!(writer, "{field}={text}") }
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

impl<S, N> FormatEvent<S, N> for Priorities
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_clean_line_with_its_priority() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(debug_fn(clean).delimited(" "))
            .event_format(Priorities::default())
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(name = %"a\nb\u{202e}", code = "c\u{1b}[0m", "x\n<0>forged {}", "\u{7}y\rz");
        });
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "<4>x <0>forged y z name=a b code=\"c\\u{1b}[0m\"\n");
    }
}
