//! Commands that ran after a renewal, as hooks: by unit and verb where it is systemd's or init's, else by a shell, as they
//! were run before.

use std::collections::BTreeMap;

use crate::config::Main;
use crate::core::wanted::hook::HookRun;

use super::entry::{name_of, quoted};

/// The hooks of what is printed.
pub(in crate::cli) struct Hooks<'a> {
    main: &'a Main,
    named: BTreeMap<String, HookRun>,
}

impl<'a> Hooks<'a> {
    pub(in crate::cli) const fn new(main: &'a Main) -> Self {
        Self { main, named: BTreeMap::new() }
    }

    /// The name of the hook that runs `command`, one of renewd.toml where that does the same.
    pub(super) fn named(&mut self, command: &str, certificate: &str) -> String {
        let run = run(command);
        let known = self.main.hooks.iter().find(|(_, hook)| hook.run == run).map(|(name, _)| name.to_string());
        if let Some(known) =
            known.or_else(|| self.named.iter().find(|(_, own)| **own == run).map(|(name, _)| name.clone()))
        {
            return known;
        }
        let wanted = match &run {
            HookRun::Unit { unit, .. } => name_of(unit.split('.').next().unwrap_or(unit)),
            HookRun::Command(_) => format!("after-{}", name_of(certificate)).chars().take(60).collect(),
        };
        let is_free = |name: &String| {
            !self.named.contains_key(name) && !self.main.hook_names.iter().any(|known| known.as_str() == name)
        };
        let others = (2..).map(|number| format!("{wanted}-{number}"));
        let name = std::iter::once(wanted.clone()).chain(others).find(is_free).unwrap_or_default();
        self.named.insert(name.clone(), run);
        name
    }

    /// The tables of the hooks.
    pub(in crate::cli) fn text(&self) -> String {
        let table = |(name, run): (&String, &HookRun)| {
            let name = if name.contains('.') { quoted(name) } else { name.clone() };
            match run {
                HookRun::Unit { unit, verb } => {
                    let allow = "# Name unit and verb in /etc/polkit-1/rules.d/60-renewd.rules as well.";
                    format!("{allow}\n[hook.{name}]\nunit = {}\nverb = {}\n\n", quoted(unit), quoted(verb))
                }
                HookRun::Command(argv) => {
                    let argv: Vec<String> = argv.iter().map(|argument| quoted(argument)).collect();
                    let sandbox = "# It ran as root before. renewd runs it as its own user, in the unit's sandbox.";
                    format!("{sandbox}\n[hook.{name}]\ncommand = [{}]\n\n", argv.join(", "))
                }
            }
        };
        self.named.iter().map(table).collect()
    }
}

fn run(command: &str) -> HookRun {
    let words: Vec<&str> = command.split_whitespace().collect();
    let program = words.first().map(|program| program.rsplit('/').next().unwrap_or(program));
    let (unit, verb) = match (program, words.as_slice()) {
        (Some("systemctl"), [_, verb, unit]) => (*unit, *verb),
        (Some("service"), [_, unit, verb]) => (*unit, *verb),
        (Some("systemctl" | "service"), _) | (Some(_) | None, _) => return shell(command),
    };
    let is_plain =
        |word: &str| word.bytes().all(|c| c.is_ascii_alphanumeric() || b"@._-".contains(&c)) && !word.starts_with('-');
    if !is_plain(unit)
        || !["reload", "restart", "reload-or-restart", "try-restart", "try-reload-or-restart"].contains(&verb)
    {
        return shell(command);
    }
    let unit = if unit.contains('.') { unit.to_owned() } else { format!("{unit}.service") };
    HookRun::Unit { unit, verb: verb.to_owned() }
}

fn shell(command: &str) -> HookRun {
    HookRun::Command(["/bin/sh", "-c", command].map(str::to_owned).to_vec())
}
