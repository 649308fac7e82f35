//! The daemon: looks at the world, lets the core decide, performs, writes down what happened, for ever. It holds no
//! policy: *when* and *whether* are the core's.

mod alarm;
pub mod answer;
mod attend;
pub mod ca_status;
pub mod clock;
pub mod context;
pub mod control;
pub mod credentials;
mod deploy;
pub mod execute;
pub mod exporter;
pub mod fleet;
pub mod heal;
pub mod held;
pub mod hooks;
pub mod inspect;
pub mod kept;
pub mod leftover;
pub mod log_sink;
pub mod lookout;
pub mod message;
pub mod metrics;
pub mod notify;
mod outage;
pub mod probe;
pub mod profiles;
pub mod reload;
pub mod report;
pub mod rollback;
pub mod run;
pub mod seats;
pub mod setup;
mod starttls;
pub mod status;
mod watch;
pub mod zone;
