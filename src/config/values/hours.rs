//! Windows and time zones as they are written.

use jiff::tz::TimeZone;

use crate::config::syntax::from_toml::FromText;
use crate::config::syntax::problem::{Fault, quoted};
use crate::core::wanted::window::DeployWindow;

/// The IANA name of a time zone that this host knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct ZoneName(pub(in crate::config) String);

impl FromText for DeployWindow {
    fn expected() -> String {
        "days and hours, such as \"Sat,Sun 02:00-05:00\", \"Mon-Fri 22:00-04:00\" or \"02:00-05:00\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        Self::parse(text).ok_or_else(|| Fault::new(format!("{} is not a window that ever opens", quoted(text))))
    }
}

impl FromText for ZoneName {
    fn expected() -> String {
        "the IANA name of a time zone, such as \"Europe/Zurich\" or \"UTC\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        if text == "UTC" || TimeZone::get(text).is_ok() {
            return Ok(Self(text.to_owned()));
        }
        let fault = Fault::new(format!("this host knows no time zone {}", quoted(text)));
        Err(fault.hint("if the name is right, install the package tzdata"))
    }
}
