//! The configuration: `renewd.toml` and the drop-in files of the inventory, from text to valid nouns of the core.
//!
//! Every problem of every file is told in one run, with its place. A drop-in file is taken or refused whole. Nothing
//! here writes a file, asks the API, or knows whether a user, a unit or a target exists.

mod claim;
mod document;
mod duration;
mod endpoint;
mod entries;
mod entry;
mod entry_table;
mod excerpt;
mod form;
mod hook;
mod host;
mod hours;
mod load;
mod main_table;
mod overlooked;
mod permissions;
mod place;
mod problem;
mod rare_names;
mod read;
mod schema;
mod settings;
mod settle;
mod sheet;
mod shelf;
mod subject;
mod table;
mod words;

pub use document::{FileContent, known_keys, parse_inventory_file, parse_main};
pub use duration::duration;
pub use entries::Entries;
pub use excerpt::is_invisible;
pub use load::{InventoryFile, examine_inventory, examine_main, is_drop_in, load_inventory, load_main};
pub use overlooked::overlooked_files;
pub use permissions::{ServiceUser, permission_problems};
pub use problem::{Place, Problem};
pub use schema::{inventory_schema, main_schema};
pub use settings::{ApiSettings, Defaults, LogFormat, LogSettings, Main, MetricsSettings};
pub use settle::{Difference, FileState, HookKey, InForce, Inventory, Label, hold, settle, settle_watched};
pub use shelf::{Changes, Shelf, UNSETTLED};
