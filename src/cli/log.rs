//! The log: entries with fields in systemd's journal, text on a terminal, JSON on demand.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;

use tracing::field::Field;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Format, Full, Writer, debug_fn};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::config::{LogFormat, LogSettings};
use crate::core::text::Text;
use crate::daemon::log_sink;
use crate::daemon::run::SetLog;

use super::output::{self, Volume};

/// Opens the log of a command that has none by itself, where `--verbose` asks for it.
///
/// # Errors
///
/// When the filter cannot be read.
pub(super) fn open_if_verbose() -> Result<(), String> {
    if output::volume() != Volume::Verbose {
        return Ok(());
    }
    open(&LogSettings { format: LogFormat::Text, level: String::new() }).map(drop)
}

/// Opens the log, and gives what changes its settings later.
///
/// # Errors
///
/// When the filter cannot be read.
pub(super) fn open(settings: &LogSettings) -> Result<SetLog, String> {
    let (lines, set_lines) = reload::Layer::new(lines(settings.format));
    let (filter, set_filter) = reload::Layer::new(filter(settings)?);
    log_sink::open();
    tracing_subscriber::registry().with(lines).with(filter).try_init().map_err(|error| error.to_string())?;
    Ok(Box::new(move |settings| {
        let filter = self::filter(settings)?;
        set_lines.reload(self::lines(settings.format)).map_err(|error| error.to_string())?;
        set_filter.reload(filter).map_err(|error| error.to_string())
    }))
}

/// What is logged.
fn filter(settings: &LogSettings) -> Result<EnvFilter, String> {
    let from_environment = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let (filter, place) = match (&from_environment, output::volume()) {
        (Some(filter), _) => (filter.as_str(), "the variable RUST_LOG"),
        (None, Volume::Quiet) => ("error", "--quiet"),
        // Of its own: what libraries say at this level is noise.
        (None, Volume::Verbose) => (concat!("info,", env!("CARGO_CRATE_NAME"), "=debug"), "--verbose"),
        (None, Volume::Usual) => (settings.level.as_str(), "the key `level` of [log]"),
    };
    EnvFilter::try_new(filter).map_err(|error| format!("{place} is not a filter: {error}"))
}

/// How it is written.
fn lines(format: LogFormat) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| log_sink::Line::Text)
        // It would be told on standard error, by a print that panics.
        .log_internal_errors(false)
        .with_target(false);
    let clean = debug_fn(clean).delimited(" ");
    match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Auto if is_journal() && log_sink::has_journal() => lines
            .with_ansi(false)
            .with_writer(|| log_sink::Line::Entry)
            .fmt_fields(clean)
            .event_format(Entries::default())
            .boxed(),
        LogFormat::Auto if is_journal() => {
            lines.with_ansi(false).fmt_fields(clean).event_format(Priorities::default()).boxed()
        }
        LogFormat::Auto | LogFormat::Text => {
            lines.with_ansi(output::may_have_colours(&io::stderr())).fmt_fields(clean).boxed()
        }
    }
}

/// Whatever an event says is one clean line, wherever its words come from: other libraries log, too.
fn clean(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let text = Text::new(&format!("{value:?}"));
    if field.name() == "message" { write!(writer, "{text}") } else { write!(writer, "{field}={text}") }
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

/// The same line as an entry of the journal, with the priority, the certificate and what else the event names as fields of
/// their own: `journalctl CERTIFICATE=www`.
#[derive(Debug, Default)]
struct Entries(Priorities);

impl<S, N> FormatEvent<S, N> for Entries
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.0.0.format_event(context, Writer::new(&mut line), event)?;
        let priority = priority(*event.metadata().level());
        // Each value is one clean line, so that none begins a field.
        write!(
            writer,
            "PRIORITY={priority}\nSYSLOG_IDENTIFIER=renewd\nMESSAGE={}\n",
            line.trim_end().replace('\n', " ")
        )?;
        // Other libraries name their fields as they like.
        if !event.metadata().target().starts_with(env!("CARGO_CRATE_NAME")) {
            return Ok(());
        }
        for span in context.event_scope().into_iter().flatten().filter(|span| span.name() == SPAN) {
            let extensions = span.extensions();
            let name = extensions.get::<FormattedFields<N>>().and_then(|fields| fields.strip_prefix("name="));
            name.map_or(Ok(()), |name| writeln!(writer, "CERTIFICATE={}", Text::new(name)))?;
        }
        let mut told = Ok(());
        event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
            let name = match field.name() {
                "message" => return,
                "name" => "CERTIFICATE".to_owned(),
                name => name.to_ascii_uppercase(),
            };
            let value = format!("{value:?}");
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(&value);
            told = told.and_then(|()| writeln!(writer, "{name}={}", Text::new(value)));
        });
        told
    }
}

fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// The span in which the work for a certificate is done.
const SPAN: &str = "certificate";

impl<S, N> FormatEvent<S, N> for Priorities
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
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

    #[test]
    fn an_entry_of_the_journal_has_fields_that_no_value_forges() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(debug_fn(clean).delimited(" "))
            .event_format(Entries::default())
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::error_span!("certificate", name = %"www").entered();
            tracing::info!(code = "c", state = %"a\nPRIORITY=0\u{202e}", serial_number = "\u{1b}7", "x\nMESSAGE=y");
            tracing::warn!(target: "hyper", bad = 1, "z");
        });
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        assert_eq!(
            text,
            "PRIORITY=6\nSYSLOG_IDENTIFIER=renewd\n\
             MESSAGE=certificate{name=www}: x MESSAGE=y code=\"c\" state=a PRIORITY=0 serial_number=\"\\u{1b}7\"\n\
             CERTIFICATE=www\nCODE=c\nSTATE=a PRIORITY=0\nSERIAL_NUMBER=\\u{1b}7\n\
             PRIORITY=4\nSYSLOG_IDENTIFIER=renewd\nMESSAGE=certificate{name=www}: z bad=1\n"
        );
    }
}
