//! What an entry asks for so that it is what a certificate has. Each value was read by the inventory's own reader before;
//! one that it refuses is left out, and said.

use std::path::Path;

use super::entry::{list, quoted};
use crate::config::{Main, parse_inventory_file};
use crate::core::known::observed::Leaf;
use crate::core::wanted::entry::{OtherName, OtherSans, OtherValue};
use crate::core::wanted::subject::SubjectAttribute;

/// Lines of an entry, and what is left out of them.
pub(super) struct Asked {
    pub(super) lines: Vec<String>,
    pub(super) left_out: Vec<String>,
}

impl Asked {
    /// What `facts` say.
    pub(super) fn of(facts: &Leaf, main: &Main) -> Self {
        let mut asked = Self { lines: Vec::new(), left_out: Vec::new() };
        asked.common_name(facts, main);
        asked.names(facts, main);
        asked.rare_names(facts, main);
        asked.subject(facts, main);
        asked.lines.extend(facts.key.map(|key| format!("key = {}", quoted(key.as_str()))));
        asked
    }

    fn common_name(&mut self, facts: &Leaf, main: &Main) {
        let line = |name: &String| format!("common_name = {}", quoted(name));
        if let Some(name) = &facts.common_name
            && self.is_taken("common name", name, &line(name), main)
        {
            self.lines.push(line(name));
        }
    }

    fn names(&mut self, facts: &Leaf, main: &Main) {
        let names = &facts.names;
        let addresses: Vec<String> = names.ip_addresses.iter().map(ToString::to_string).collect();
        let kinds = [
            ("dns_names", &names.dns_names),
            ("ip_addresses", &addresses),
            ("emails", &names.emails),
            ("uris", &names.uris),
            ("user_principal_names", &names.others.user_principal_names),
            ("registered_ids", &names.others.registered_ids),
        ];
        for (key, values) in kinds {
            let mut taken: Vec<&String> = Vec::new();
            for value in values {
                let is_new = !taken.contains(&value);
                if is_new && self.is_taken("name", value, &format!("{key} = {}", list([value])), main) {
                    taken.push(value);
                }
            }
            if !taken.is_empty() {
                self.lines.push(format!("{key} = {}", list(taken)));
            }
        }
    }

    /// Names of kinds that few certificates have. TLM takes one directory name; more cannot be asked for.
    fn rare_names(&mut self, facts: &Leaf, main: &Main) {
        let others = &facts.names.others;
        for (at, name) in others.directory_names.iter().enumerate() {
            let line = format!("directory_name = {}", quoted(name));
            if at > 0 {
                self.leave_out("directory name", name, "an entry has one");
            } else if self.is_taken("directory name", name, &line, main) {
                self.lines.push(line);
            }
        }
        if let Some(line) = other_names(others)
            && self.is_taken("other names", &line, &line, main)
        {
            self.lines.push(line);
        }
    }

    fn subject(&mut self, facts: &Leaf, main: &Main) {
        let mut written = Vec::new();
        for (attribute, values) in &facts.subject {
            let room = if attribute.is_list() { values.len() } else { 1 };
            let mut taken: Vec<&String> = Vec::new();
            for value in values {
                let line = format!("subject = {{ {attribute} = {} }}", quoted(value));
                if *attribute == SubjectAttribute::CommonName || taken.len() >= room {
                    self.leave_out(&attribute.to_string(), value, "an entry has one");
                } else if self.is_taken(&attribute.to_string(), value, &line, main) {
                    taken.push(value);
                }
            }
            match taken.as_slice() {
                [] => {}
                [value] if !attribute.is_list() => written.push(format!("{attribute} = {}", quoted(value))),
                values => written.push(format!("{attribute} = {}", list(values))),
            }
        }
        if !written.is_empty() {
            self.lines.push(format!("subject = {{ {} }}", written.join(", ")));
        }
    }

    /// Whether the inventory's reader takes this line.
    fn is_taken(&mut self, what: &str, value: &str, line: &str, main: &Main) -> bool {
        let named = if line.starts_with("common_name") { "" } else { "common_name = \"www.example.com\"\n" };
        let text = format!("[[certificate]]\nname = \"x\"\nprofile = \"P\"\n{named}{line}\n");
        // What stands in the configuration's defaults is no matter of this value.
        let bare = Main::new(Path::new(&main.state_dir));
        let Some(problem) = parse_inventory_file(&bare, "it", &text).err().and_then(|all| all.into_iter().next())
        else {
            return true;
        };
        let summary = problem.summary();
        let why = summary.splitn(4, ':').nth(3).unwrap_or(&summary).trim().to_owned();
        self.leave_out(what, value, &why);
        false
    }

    fn leave_out(&mut self, what: &str, value: &str, why: &str) {
        self.left_out.push(format!("{what} {value:?} is left out: {why}"));
    }
}

fn other_names(OtherSans { guids, other_names, .. }: &OtherSans) -> Option<String> {
    let value = |value: &OtherValue| format!("{{ value = {} }}", quoted(&value.value));
    let name = |OtherName { oid, values }: &OtherName| {
        let values: Vec<String> = values.iter().map(value).collect();
        format!("{{ oid = {}, values = [{}] }}", quoted(oid), values.join(", "))
    };
    let names: Vec<String> = other_names.iter().map(name).collect();
    let kinds =
        [("guid", list(guids), guids.len()), ("raw_other_names", format!("[{}]", names.join(", ")), names.len())];
    let kinds: Vec<String> =
        kinds.into_iter().filter(|(_, _, count)| *count > 0).map(|(key, list, _)| format!("{key} = {list}")).collect();
    (!kinds.is_empty()).then(|| format!("other_names = {{ {} }}", kinds.join(", ")))
}
