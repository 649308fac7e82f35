//! What systemd knows of the daemon that is not there: whether it should run, and how it ended.

use std::path::Path;
use std::process::{Command, Stdio};

use super::preflight;

/// How things stand with the unit that runs the daemon of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// There is none, or it is not meant to run: others start renewd here, if anybody does.
    NotWanted,
    /// It starts, or stops.
    Changing,
    /// It is meant to run and does not: how that came, and what to do.
    Down(String, String),
}

/// Asks systemd after the unit of the daemon whose configuration is `config`.
#[must_use]
pub fn of(config: &Path) -> Service {
    // Where systemd does not run there is nobody to ask.
    if !Path::new("/run/systemd/system").exists() {
        return Service::NotWanted;
    }
    let unit = preflight::own_unit(config);
    let shown = Command::new("/usr/bin/systemctl")
        .args(["show", "--property=UnitFileState,ActiveState,SubState,Result,ExecMainStatus,ExecStart", &unit])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    shown.map_or(Service::NotWanted, |shown| told(&String::from_utf8_lossy(&shown.stdout), &unit, config))
}

fn told(shown: &str, unit: &str, config: &Path) -> Service {
    let value = |name: &str| shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or("");
    let is_enabled = ["enabled", "enabled-runtime"].contains(&value("UnitFileState"));
    if !is_enabled || !runs(value("ExecStart"), config) {
        return Service::NotWanted;
    }
    let ended = || match (value("Result"), value("ExecMainStatus")) {
        ("exit-code", status) => format!("exit status {status}"),
        (result, _) => result.to_owned(),
    };
    let start = format!("systemctl start {unit}");
    let fix = match value("ExecMainStatus") {
        "78" => format!("run `renewd check`, fix what it names, then: {start}"),
        _ => format!("find the cause by: journalctl -u {unit}; then: {start}"),
    };
    match (value("ActiveState"), value("SubState")) {
        ("failed", _) => Service::Down(format!("{unit} is enabled, but failed ({})", ended()), fix),
        ("activating", "auto-restart" | "auto-restart-queued") => {
            Service::Down(format!("{unit} fails at each start ({}); systemd keeps restarting it", ended()), fix)
        }
        ("inactive", _) => Service::Down(format!("{unit} is enabled, but stopped"), format!("run: {start}")),
        _ => Service::Changing,
    }
}

/// Whether a unit's command runs with this configuration: named in it, or the usual one where it names none.
fn runs(command: &str, config: &Path) -> bool {
    let mut words = command.split_whitespace().skip_while(|word| *word != "--config");
    let named = words.nth(1).or_else(|| command.split_whitespace().find_map(|word| word.strip_prefix("--config=")));
    !command.is_empty() && Path::new(named.unwrap_or(CONFIG)) == config
}

/// Where the main configuration is, unless the command line names another.
pub const CONFIG: &str = "/etc/renewd/renewd.toml";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_enabled_unit_of_this_configuration_is_missed() {
        let (usual, other) = (Path::new(CONFIG), Path::new("/etc/renewd/lab/renewd.toml"));
        let shown = |file: &str, active: &str, sub: &str, arguments: &str| {
            format!(
                "ExecStart={{ path=/usr/bin/renewd ; argv[]=/usr/bin/renewd {arguments} ; ignore_errors=no }}\nResult=exit-code\n\
                 ExecMainStatus=70\nActiveState={active}\nSubState={sub}\nUnitFileState={file}\n"
            )
        };
        let says = |shown: &str, config: &Path| match told(shown, "renewd.service", config) {
            Service::Down(how, _) => how,
            Service::NotWanted => "not wanted".to_owned(),
            Service::Changing => "changing".to_owned(),
        };
        for (file, active, sub, expected) in [
            ("enabled", "failed", "failed", "renewd.service is enabled, but failed (exit status 70)"),
            ("enabled-runtime", "inactive", "dead", "renewd.service is enabled, but stopped"),
            (
                "enabled",
                "activating",
                "auto-restart",
                "renewd.service fails at each start (exit status 70); systemd keeps restarting it",
            ),
            ("enabled", "activating", "start", "changing"),
            ("enabled", "deactivating", "stop-sigterm", "changing"),
            ("disabled", "failed", "failed", "not wanted"),
            ("masked", "inactive", "dead", "not wanted"),
        ] {
            assert_eq!(says(&shown(file, active, sub, "run"), usual), expected, "{file} {active} {sub}");
        }
        let failed = |arguments: &str| shown("enabled", "failed", "failed", arguments);
        assert_eq!(says(&failed("run"), other), "not wanted", "it runs with the usual one");
        for arguments in ["--config /etc/renewd/lab/renewd.toml run", "run --config=/etc/renewd/lab/renewd.toml"] {
            assert!(says(&failed(arguments), other).contains("failed"), "{arguments}");
            assert_eq!(says(&failed(arguments), usual), "not wanted", "{arguments}");
        }
        assert_eq!(says("", usual), "not wanted", "there is no such unit");
        assert!(matches!(
            told(&failed("run").replace("=70", "=78"), "renewd.service", usual),
            Service::Down(_, fix) if fix.starts_with("run `renewd check`")
        ));
    }
}
