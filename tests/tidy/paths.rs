//! Every call that names a file by its path, outside of tests: who may exchange a part of that path, and why nothing comes
//! of it. A new call is argued for here, or made by descriptor.

use std::fs;
use std::path::Path;

use crate::{root, sources};

/// How many such calls a file has, and why they are safe. *Root's*: nobody but root may exchange a part of the path. *The
/// service's*: nobody but root and the service's user. *Told*: the worst is a wrong word to whoever asked. *The kernel's*:
/// there is no file.
const ARGUED: [(&str, usize, &str); 39] = [
    (
        "src/api/credentials.rs",
        10,
        "the file is judged by the descriptor that is read; paths only tell whether a copy is old, and whether a folder shuts others out",
    ),
    ("src/cli/absent.rs", 2, "told: whether two paths name one file"),
    ("src/cli/adopt/file.rs", 3, "told: prints what a file holds that is public; bounded, no pipe"),
    ("src/cli/adopt/source.rs", 4, "told; what it finds is read as above"),
    ("src/cli/check.rs", 2, "told"),
    ("src/cli/check_online.rs", 1, "told"),
    ("src/cli/control.rs", 2, "told: whoever exchanges the socket answers for the daemon; nothing secret is sent"),
    ("src/cli/discover/entries.rs", 1, "told: whether a unit is installed"),
    ("src/cli/discover/faults.rs", 1, "told: whether others may pass a folder"),
    (
        "src/cli/discover/files.rs",
        6,
        "told: what it finds is printed, by the rights of who asks; folders that are links are not entered; bounded, no pipe",
    ),
    ("src/cli/discover/findings.rs", 1, "told: which file a manager's path leads to"),
    ("src/cli/discover/processes.rs", 8, "the kernel's"),
    (
        "src/cli/discover/reading.rs",
        4,
        "told: reads what servers are configured with, by the rights of who asks; bounded, no pipe",
    ),
    ("src/cli/discover/sockets.rs", 1, "the kernel's"),
    ("src/cli/log.rs", 1, "the kernel's"),
    (
        "src/cli/user.rs",
        2,
        "root becomes the owner of the state directory, and where it stays root exchange judges the way there",
    ),
    (
        "src/cli/select/serials.rs",
        1,
        "told: the list that the command line names, read with the rights of who asks; bounded",
    ),
    ("src/config/claim.rs", 1, "a wrong answer grants or refuses one target, which is judged again when it is written"),
    ("src/config/drop_ins.rs", 2, "whether to read again; each file is judged by the descriptor that is read"),
    (
        "src/config/load.rs",
        4,
        "each file is judged by the descriptor that is read; of a folder that others own, what they put there is theirs and refused",
    ),
    ("src/config/overlooked.rs", 4, "told: names and whether a file begins a certificate; bounded, no pipe"),
    (
        "src/config/permissions.rs",
        5,
        "by descriptor, but for the inventory directory, each of whose files is judged too",
    ),
    ("src/daemon/children.rs", 3, "the kernel's; no child is reaped meanwhile, so that a number means who it meant"),
    ("src/daemon/config_file.rs", 1, "told: whether the file changed"),
    (
        "src/daemon/control.rs",
        5,
        "no more goes than a socket's file of that name, which is the operator's choice; not followed",
    ),
    ("src/daemon/door.rs", 8, "opened without following and judged; everything else goes by that descriptor"),
    (
        "src/daemon/hook_user.rs",
        2,
        "the operator's program, run with the rights of the user that is named; the program itself is the kernel's /proc/self/exe",
    ),
    (
        "src/daemon/hooks.rs",
        2,
        "a file in memory, which has no path; the operator's program, from a configuration that nobody else may write; `check --online` tells of one that others may exchange",
    ),
    ("src/daemon/key_source.rs", 2, "root's"),
    ("src/daemon/service.rs", 2, "told: whether two paths name one file"),
    ("src/daemon/log_sink.rs", 2, "root's"),
    ("src/daemon/notify.rs", 1, "the supervisor's, by its own variable"),
    ("src/daemon/orphan_hooks.rs", 4, "the kernel's; a number would have to be used anew between two calls"),
    ("src/daemon/preflight.rs", 5, "told, and root's systemctl"),
    ("src/daemon/program.rs", 6, "told: why a program does not run; bounded, no pipe"),
    (
        "src/daemon/setup.rs",
        6,
        "the owner of the state directory says who is safe from whom: whoever exchanges it gains that user's own; the rest is root's, the kernel's, or told",
    ),
    ("src/daemon/watch.rs", 2, "a hint to look"),
    ("src/store/lock.rs", 3, "the service's; not followed, bounded, no pipe"),
    (
        "src/store/real_disk.rs",
        26,
        "never follows the last part; the folders above are the service's (exchange, for root), or judged before each use (targets::check_target)",
    ),
];

/// The calls of methods and types that take a path; beside them count all functions of modules called `fs`.
const CALLS: [&str; 14] = [
    ".exists()",
    ".canonicalize()",
    "path.is_dir()",
    "path.is_file()",
    ").is_file()",
    "File::open(",
    "OpenOptions::new()",
    "DirBuilder::new()",
    "UnixStream::connect(",
    "UnixListener::bind(",
    ".bind(path",
    ".send_to(",
    ".send_to_addr(",
    "Command::new(",
];

/// How many calls by a path a line has.
fn calls(line: &str) -> usize {
    let is_function = |after: &str| {
        let name = after.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        name.starts_with(|c: char| c.is_ascii_lowercase()) && after[name.len()..].starts_with('(')
    };
    let of_modules = line.match_indices("fs::").filter(|(at, mark)| is_function(&line[at + mark.len()..])).count();
    of_modules + CALLS.iter().map(|call| line.matches(call).count()).sum::<usize>()
}

/// The lines of code of a file that are no test and no import.
fn code(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let own = text.split("\nmod tests {").next().unwrap_or_default();
    let is_code = |line: &&str| !["//", "use ", "pub use "].iter().any(|begin| line.trim_start().starts_with(begin));
    own.lines().filter(is_code).map(str::to_owned).collect()
}

#[test]
fn every_call_by_a_path_is_argued_for() {
    let root = root();
    let is_test = |path: &Path| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        ["tests.rs", "example.rs", "suite.rs", "pki/openssl.rs"].iter().any(|end| name.ends_with(end))
    };
    let mut wrong = Vec::new();
    for path in sources(&root.join("src")).iter().filter(|path| !is_test(path)) {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let found = code(path).iter().map(|line| calls(line)).sum::<usize>();
        let argued = ARGUED.iter().find(|(file, _, _)| *file == name).map_or(0, |(_, count, _)| *count);
        if found != argued {
            wrong.push(format!("{name}: {found} calls by a path, and {argued} are argued for"));
        }
        // A function that is imported by its name would not be seen.
        let text = fs::read_to_string(path).unwrap();
        let imports = text.lines().filter(|line| line.trim_start().starts_with("use ") && line.contains("fs::{"));
        let bare = |part: &str| part.trim().starts_with(|c: char| c.is_ascii_lowercase()) && part.trim() != "self";
        let is_bare = |line: &&str| line.split(['{', '}']).nth(1).is_some_and(|names| names.split(',').any(bare));
        wrong.extend(imports.filter(is_bare).map(|line| format!("{name}: {line}: name functions by their module")));
    }
    let gone =
        ARGUED.iter().filter(|(file, _, _)| !root.join(file).exists()).map(|(file, _, _)| format!("{file} is gone"));
    wrong.extend(gone);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn calls_by_a_path_are_seen() {
    for (line, count) in [
        ("let x = std::fs::metadata(path).ok();", 1),
        ("match rustix::fs::open(path, OFlags::PATH, Mode::empty()) {", 1),
        ("let x: fs::Metadata = y;", 0),
        ("fs::Permissions::from_mode(0o600)", 0),
        ("File::open(a).and_then(|_| fs::remove_file(b)).is_ok() && path.exists()", 3),
    ] {
        assert_eq!(calls(line), count, "{line}");
    }
}
