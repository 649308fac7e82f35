//! The daemon: the shell around the engine. It looks at the world, tells the engine, performs what that wants done, and
//! writes down what happened, for ever. It holds no policy: *when* and *whether* are the engine's.

pub mod answer;
pub mod ca_status;
pub mod children;
pub mod clock;
pub mod context;
pub mod control;
mod door;
pub mod effects;
pub mod exporter;
pub mod heal;
pub mod held;
pub mod hook_user;
pub mod hooks;
pub mod last_good;
pub mod log_sink;
pub mod message;
pub mod metrics;
pub mod notify;
pub mod orphan_hooks;
mod perform;
pub mod preflight;
pub mod probe;
pub mod profiles;
pub mod program;
pub mod reload;
pub mod rollback;
pub mod run;
pub mod seats;
pub mod setup;
mod starttls;
mod tell;
mod timer;
mod watch;
