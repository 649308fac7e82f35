//! What `--help` of a command adds to its options: its exit codes, from the table of its page in the manual.

/// The pages of the commands.
const PAGES: &[(&str, &str)] = &[
    ("run", include_str!("pages/renewd-run.1.md")),
    ("once", include_str!("pages/renewd-once.1.md")),
    ("heal", include_str!("pages/renewd-heal.1.md")),
    ("check", include_str!("pages/renewd-check.1.md")),
    ("plan", include_str!("pages/renewd-plan.1.md")),
    ("status", include_str!("pages/renewd-status.1.md")),
    ("csr", include_str!("pages/renewd-csr.1.md")),
    ("history", include_str!("pages/renewd-history.1.md")),
    ("renew", include_str!("pages/renewd-renew.1.md")),
    ("deploy", include_str!("pages/renewd-deploy.1.md")),
    ("notify", include_str!("pages/renewd-notify.1.md")),
    ("profiles", include_str!("pages/renewd-profiles.1.md")),
    ("explain", include_str!("pages/renewd-explain.1.md")),
    ("hold", include_str!("pages/renewd-hold.1.md")),
    ("release", include_str!("pages/renewd-release.1.md")),
    ("rollback", include_str!("pages/renewd-rollback.1.md")),
    ("revoke", include_str!("pages/renewd-revoke.1.md")),
    ("adopt", include_str!("pages/renewd-adopt.1.md")),
    ("discover", include_str!("pages/renewd-discover.1.md")),
    ("completions", include_str!("pages/renewd-completions.1.md")),
    ("schema", include_str!("pages/renewd-schema.1.md")),
];

/// The command line with the exit codes below each command's options.
pub(super) fn with_exit_codes(command: clap::Command) -> clap::Command {
    PAGES.iter().fold(command, |command, (name, page)| {
        command.mut_subcommand(*name, |command| command.after_help(exit_codes(page)))
    })
}

fn exit_codes(page: &str) -> String {
    let section = page.split_once("\n## Exit status\n").and_then(|(_, rest)| rest.split("\n## ").next());
    let cells = |line: &str| {
        let (code, meaning) = line.strip_prefix("| ")?.split_once(" | ")?;
        let code: u8 = code.trim().parse().ok()?;
        Some(format!("  {code:<3} {}", meaning.trim_end_matches('|').trim().replace("**", "")))
    };
    let rows: Vec<String> = section.into_iter().flat_map(str::lines).filter_map(cells).collect();
    format!("Exit codes:\n{}", rows.join("\n"))
}
