//! The configuration: `renewd.toml` and the drop-in files of the inventory, from text to valid nouns of the core.
//!
//! Every problem of every file is told in one run, with its place. A drop-in file is taken or refused whole. Nothing
//! here writes a file, asks the API, or knows whether a user, a unit or a target exists.

mod claim;
mod document;
mod drop_ins;
mod entries;
mod entry;
mod entry_table;
mod form;
mod freeze;
mod hook;
mod inventory;
mod load;
mod main_table;
mod notify;
mod overlooked;
mod permissions;
mod rare_names;
pub mod removal_guard;
mod schema;
mod settings;
mod syntax;
mod values;

pub use document::{FileContent, InForce, Label, known_keys, parse_inventory_file, parse_main};
pub use drop_ins::{Changes, DropInCache, UNSETTLED, examine_inventory, load_inventory};
pub use entries::Entries;
pub use inventory::{Difference, FileState, HookKey, Inventory, hold, resolve, resolve_watched};
pub use load::{InventoryFile, examine_main, is_drop_in, load_main, load_trusted_main};
pub use overlooked::overlooked_files;
pub use permissions::{ServiceUser, permission_problems};
pub use schema::{inventory_schema, main_schema};
pub use settings::{ApiSettings, Change, Defaults, LogFormat, LogSettings, Main, MetricsSettings};
pub use syntax::excerpt::is_invisible;
pub use syntax::problem::{Location, Problem};
pub use values::duration::duration;
