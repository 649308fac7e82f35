//! The daemon: looks at the world, lets the core decide, performs, writes down what happened, for ever. It holds no
//! policy: *when* and *whether* are the core's.

pub mod answer;
pub mod clock;
pub mod context;
pub mod control;
pub mod execute;
pub mod fleet;
pub mod heal;
pub mod hooks;
pub mod message;
pub mod notify;
pub mod profiles;
pub mod reload;
pub mod run;
pub mod setup;
pub mod status;
