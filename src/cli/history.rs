//! `renewd history`: the journal's events of certificates, as lines or as JSON. Reads without a lock, so that a line
//! which is being written is passed over.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use crate::config;
use crate::core::name::CertName;
use crate::daemon::{last_good, setup};
use crate::store::journal::{self, Content, Journal};
use crate::store::layout::Layout;
use crate::store::real_disk::RealDisk;

use super::select::Selectors;
use super::{exit, offline, output, status, user};
use crate::cli::event_text::EventView;

/// Prints what happened to one certificate, or to those that meet the selectors, oldest first.
pub(super) fn run(file: &Path, name: Option<CertName>, selectors: &Selectors, json: bool) -> ExitCode {
    let main = || config::load_main(file).map_err(|problems| setup::shown(&problems));
    let main = match user::may_read(file).and_then(|()| main()) {
        Ok(main) => main,
        Err(why) => {
            output::complain(&why);
            return exit::CONFIG.into();
        }
    };
    let names = match &name {
        Some(name) => Ok(vec![name.clone()]),
        None => status::all(file)
            .map_err(|why| (why, exit::UNREADABLE))
            .and_then(|status| selectors.chosen(&status).map_err(|why| (why, exit::UNWELL))),
    };
    let names = match names {
        Ok(names) => names,
        Err((why, code)) => {
            output::complain(&why);
            return code.into();
        }
    };
    let layout = Layout::new(&main.state_dir);
    let content = match Journal::read(&RealDisk, &layout) {
        Ok(content) => content,
        Err(failure) => {
            output::complain(&offline::unread(&layout, &failure));
            return exit::UNREADABLE.into();
        }
    };
    remarks(&content);
    if let Some(name) = name {
        return of_one(&main, &layout, &name, &content, json);
    }
    let mut events: BTreeMap<&CertName, Vec<EventView>> = names.iter().map(|name| (name, Vec::new())).collect();
    for entry in &content.entries {
        if let Some(events) = events.get_mut(&entry.name) {
            events.push(EventView::new(entry));
        }
    }
    if json {
        let histories: Vec<_> = events.into_iter().map(|(name, events)| History { name, events }).collect();
        output::print_json(&serde_json::json!({"certificates": histories}));
    } else {
        let named = |(name, events): (&CertName, Vec<EventView>)| {
            let name = name.to_string();
            events.into_iter().map(move |told| (name.clone(), told))
        };
        let mut rows: Vec<_> = events.into_iter().flat_map(named).collect();
        rows.sort_by(|(_, one), (_, other)| one.at.cmp(&other.at));
        let rows = rows.into_iter().map(|(name, told)| vec![told.at, name, told.event, told.message]);
        output::print(&output::table(&["WHEN", "CERTIFICATE", "EVENT", "WHAT"], rows));
    }
    exit::OK.into()
}

fn of_one(main: &config::Main, layout: &Layout, name: &CertName, content: &Content, json: bool) -> ExitCode {
    let events: Vec<EventView> =
        content.entries.iter().filter(|entry| entry.name == *name).map(EventView::new).collect();
    if events.is_empty() && !is_known(main, layout, name) {
        output::complain(&format!("no certificate named \"{name}\", and the journal knows nothing about one"));
        return exit::UNREADABLE.into();
    }
    if json {
        output::print_json(&History { name, events });
    } else if events.is_empty() {
        output::print(&format!("{name}: nothing has happened yet"));
    } else {
        let rows = events.into_iter().map(|told| vec![told.at, told.event, told.message]);
        output::print(&output::table(&["WHEN", "EVENT", "WHAT"], rows));
    }
    exit::OK.into()
}

/// What is wrong with the journal as a whole.
fn remarks(content: &Content) {
    if content.too_new {
        output::remark("a newer renewd wrote the journal: showing what this one understands");
    }
    journal::remark(content).into_iter().for_each(|remark| output::remark(remark.as_str()));
}

fn is_known(main: &config::Main, layout: &Layout, name: &CertName) -> bool {
    let in_force = last_good::read(&RealDisk, layout);
    let inventory = setup::inventory(main, &in_force);
    inventory.is_ok_and(|inventory| inventory.entries.iter().any(|entry| entry.name == *name))
}

#[derive(Serialize)]
struct History<'a> {
    name: &'a CertName,
    events: Vec<EventView>,
}
