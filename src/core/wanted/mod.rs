//! What is wanted: an entry of the inventory, and the kinds of values that it is made of.

pub mod access_list;
pub mod dn;
pub mod entry;
pub mod files;
pub mod hook;
pub mod key;
pub mod notify;
pub mod sans;
pub mod subject;
pub mod usage;
pub mod window;
