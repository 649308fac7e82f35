//! Which files are in force, at start and after each reload, as small histories.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use renewd::config::removal_guard::Trigger;
use renewd::config::{
    Changes, Difference, InForce, Inventory, InventoryFile, Main, Problem, hold, parse_inventory_file, parse_main,
    resolve, resolve_watched,
};

/// A history of reloads; what is in force carries over.
struct History {
    main: Main,
    in_force: InForce,
}

impl History {
    fn start() -> Self {
        Self { main: Main::new(Path::new("/etc/renewd/renewd.toml")), in_force: InForce::new() }
    }

    /// Reloads with these files: each a name and what it holds: names, `/paths` of the name before, or `!` for a bad
    /// file. Compares every file with `label: certificates in force, + for each problem`.
    #[track_caller]
    fn reload(&mut self, files: &[(&str, &str)], expected: &str) -> Inventory {
        let files = files.iter().map(|(name, holds)| self.file(name, &text(holds))).collect();
        self.resolve(files, expected)
    }

    /// The same, where the watch alone is what made the files be read.
    #[track_caller]
    fn watch(&mut self, files: &[(&str, &str)], expected: &str) -> Inventory {
        let files = files.iter().map(|(name, holds)| self.file(name, &text(holds))).collect();
        let inventory = resolve_watched(files, &self.main.hooks, &self.in_force);
        self.compare(inventory, expected)
    }

    fn restart(&mut self) {
        self.in_force = serde_json::from_str(&serde_json::to_string(&self.in_force).unwrap()).unwrap();
    }

    #[track_caller]
    fn resolve(&mut self, files: Vec<InventoryFile>, expected: &str) -> Inventory {
        let inventory = resolve(files, &self.main.hooks, &self.in_force);
        self.compare(inventory, expected)
    }

    #[track_caller]
    fn compare(&mut self, inventory: Inventory, expected: &str) -> Inventory {
        let state = |file: &renewd::config::FileState<'_>| {
            let content = inventory.in_force.get(file.label);
            let names = content.into_iter().flat_map(|content| content.entries.iter()).map(|entry| entry.name.as_str());
            let names: Vec<_> = names.collect();
            assert_eq!(names.len(), file.certificates);
            format!("{}: {}{}", file.label, names.join(" "), "+".repeat(file.problems.len()))
        };
        assert_eq!(inventory.files().iter().map(state).collect::<Vec<_>>().join(", "), expected);
        let mut names: Vec<_> = inventory.entries.iter().map(|entry| entry.name.clone()).collect();
        names.dedup();
        assert_eq!(names.len(), inventory.entries.len(), "names are unique");
        assert!(names.is_sorted());
        self.in_force = inventory.in_force.clone();
        inventory
    }

    fn file(&self, label: &str, text: &str) -> InventoryFile {
        let content = parse_inventory_file(&self.main, label, text).map(Arc::new);
        InventoryFile { label: label.into(), content }
    }
}

fn text(holds: &str) -> String {
    let word = |word: &str| match word {
        "!" => "bad\n".to_owned(),
        path if path.starts_with('/') => format!("files.private_key = {path:?}\n"),
        name => format!("[[certificate]]\nname = {name:?}\nprofile = \"P\"\ncommon_name = \"x\"\n"),
    };
    holds.split_whitespace().map(word).collect()
}

#[test]
fn at_start_the_first_file_by_name_stays() {
    let mut history = History::start();
    let inventory = history.reload(&[("b", "www"), ("a", "www"), ("c", "x")], "a: www, b: +, c: x");
    let problem = inventory.files()[1].problems[0].to_string();
    let expected = "b:2:8: the name `www` is taken by a line 1\n  |\n2 | name = \"www\"\n  |        ^^^^^ \
                    expected a name that is unique in the inventory; remove it from one of the two files";
    assert_eq!(problem, expected);
}

#[test]
fn the_one_in_force_stays() {
    let mut history = History::start();
    history.reload(&[("b", "www")], "b: www");
    history.reload(&[("a", "www"), ("b", "www")], "a: +, b: www");
    history.reload(&[("a", "www y"), ("b", "x www")], "a: +, b: x www");
    history.reload(&[("a", "www y"), ("b", "x")], "a: www y, b: x");
}

#[test]
fn one_target_belongs_to_one_file() {
    let mut history = History::start();
    let inventory = history.reload(&[("a", "x /k"), ("b", "y /k"), ("c", "z /l")], "a: x, b: +, c: z");
    let problem = inventory.files()[1].problems[0].to_string();
    assert!(problem.starts_with("b:5:21: /k is written by a line 1 as well\n"), "{problem}");
    history.reload(&[("a", "x /l"), ("b", "y /k"), ("c", "z /l")], "a: x+, b: +, c: z");
    history.reload(&[("a", "x /m"), ("b", "y /k"), ("c", "z /l")], "a: x, b: y, c: z");
}

/// By a link as by a bind mount, a folder has two paths; the files in it need not be there yet.
#[test]
fn one_target_belongs_to_one_file_by_whichever_path() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    std::fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let (real, link) = (format!("{}/k", real.display()), format!("{}/k", link.display()));
    let mut history = History::start();
    let (x, y) = (format!("x {real}"), format!("y {link}"));
    let inventory = history.reload(&[("a", &x), ("b", &y)], "a: x, b: +");
    let problem = inventory.files()[1].problems[0].to_string();
    let expected = format!("{link} is written by a line 1 as well, as {real}: a mount or a link makes them one file");
    assert!(problem.contains(&expected), "{problem}");
    history.reload(&[("a", &x), ("b", &format!("y {link}2"))], "a: x, b: y");
    history.reload(&[("a", &format!("x {real}2")), ("b", &format!("y {link}2"))], "a: x+, b: y");
}

#[test]
fn a_bad_file_keeps_its_last_good_content() {
    let mut history = History::start();
    history.reload(&[("a", "!"), ("b", "y")], "a: +, b: y");
    history.reload(&[("a", "x"), ("b", "y")], "a: x, b: y");
    history.reload(&[("a", "!"), ("b", "y z")], "a: x+, b: y z");
    history.reload(&[("a", "!"), ("b", "y x")], "a: x+, b: y z+");
    history.reload(&[("a", "w"), ("b", "y x")], "a: w, b: y x");
    history.reload(&[("b", "y x")], "b: y x");
}

/// Every claim of the file is told, not the first alone.
#[test]
fn each_conflict_of_a_file_is_told() {
    let mut history = History::start();
    history.reload(&[("a", "x y /k"), ("b", "x y z /k")], "a: x y, b: +++");
    history.reload(&[("a", "x y"), ("b", "z")], "a: x y, b: z");
    history.reload(&[("a", "x y"), ("b", "z"), ("c", "v x z")], "a: x y, b: z, c: ++");
}

/// What was in force is kept as text between two runs of the daemon.
#[test]
fn what_is_in_force_outlives_a_restart() {
    let mut history = History::start();
    history.reload(&[("a", "x /k"), ("b", "y")], "a: x, b: y");
    history.restart();
    history.reload(&[("a", "!"), ("b", "y x /k")], "a: x+, b: y++");
    history.restart();
    history.reload(&[("a", "!"), ("b", "y")], "a: x+, b: y");
    history.reload(&[("b", "y")], "b: y");
    history.restart();
    history.reload(&[("a", "!"), ("b", "y x")], "a: +, b: y x");
}

/// At the first start the first file by name stays; at the next one the file that had the name.
#[test]
fn the_name_stays_with_its_file_across_a_restart() {
    let mut history = History::start();
    history.reload(&[("b", "x")], "b: x");
    history.restart();
    history.reload(&[("a", "x"), ("b", "x")], "a: +, b: x");
}

#[test]
fn a_directory_that_cannot_be_read_lets_go_of_nothing() {
    let mut history = History::start();
    history.reload(&[("a", "x /k"), ("b", "y")], "a: x, b: y");
    let problem = Problem::of_file("/etc/renewd/certs.d", "gone");
    let inventory = hold(&history.main, problem.clone(), &history.in_force);
    assert_eq!(inventory.in_force, history.in_force);
    assert_eq!(inventory.entries.len(), 2);
    let [directory, a, b] = &inventory.files()[..] else { panic!("the directory and two files") };
    assert_eq!((directory.label, directory.certificates), ("/etc/renewd/certs.d", 2));
    assert_eq!(directory.problems, [problem]);
    assert!([a, b].iter().all(|file| file.certificates == 1 && file.problems.is_empty()));
}

#[test]
fn the_watch_alone_does_not_empty_the_inventory() {
    let mut history = History::start();
    history.reload(&[("a", "x y"), ("b", "z")], "a: x y, b: z");
    let inventory = history.watch(&[], "a: x y+, b: z+");
    let problem = inventory.files()[0].problems[0].to_string();
    assert!(problem.starts_with("a: this would stop managing 3 certificates at once, 2 of this file"), "{problem}");
    assert!(problem.ends_with("confirm with: systemctl reload renewd"), "{problem}");
    history.watch(&[("a", ""), ("b", "")], "a: x y+, b: z+");
    history.watch(&[("b", "z")], "b: z");
    history.watch(&[("b", "n")], "b: n");
    history.reload(&[], "");
}

#[test]
fn the_watch_alone_does_not_let_more_than_half_of_ten_go() {
    let mut history = History::start();
    let many = "a b c d e f g h i";
    history.reload(&[("m", many), ("n", "j"), ("o", "k")], &format!("m: {many}, n: j, o: k"));
    history.watch(&[("m", "a b c"), ("n", "j"), ("p", "l")], &format!("m: {many}+, n: j, o: k+, p: l"));
    history.watch(&[("m", "a b c d"), ("n", "j"), ("p", "l")], "m: a b c d, n: j, p: l");
}

#[test]
fn an_entry_moves_between_files() {
    let mut history = History::start();
    history.reload(&[("a", "x y"), ("b", "z")], "a: x y, b: z");
    history.reload(&[("a", "x"), ("b", "z y")], "a: x, b: z y");
    history.reload(&[("a", "z y"), ("b", "x")], "a: z y, b: x");
    history.reload(&[("c", "x y z")], "c: x y z");
}

/// The file that should give the name up is refused for another reason, and so keeps it.
#[test]
fn a_move_out_of_a_refused_file_waits() {
    let mut history = History::start();
    history.reload(&[("a", "x"), ("b", "y"), ("c", "z")], "a: x, b: y, c: z");
    history.reload(&[("a", "w z"), ("b", "y x"), ("c", "z")], "a: x+, b: y+, c: z");
    history.reload(&[("a", "w"), ("b", "y x"), ("c", "z")], "a: w, b: y x, c: z");
}

/// Both are new, and the loser falls back to what the winner wants to take over: nobody is left with half of a set.
#[test]
fn a_fall_back_refuses_who_counted_on_the_move() {
    let mut history = History::start();
    history.reload(&[("b", "y")], "b: y");
    history.reload(&[("a", "n y"), ("b", "n")], "a: +, b: y+");
}

#[test]
fn removing_a_hook_in_use_refuses_the_file_and_keeps_the_hook() {
    let main = |text: &str| parse_main(Path::new("/etc/renewd/renewd.toml"), text).unwrap();
    let text = "[[certificate]]\nname = \"x\"\nprofile = \"P\"\ncommon_name = \"x\"\nhooks = [\"n\"]\n";
    let mut history = History::start();
    history.main = main("[hook.n]\nunit = \"n.service\"\nverb = \"reload\"\n");
    let file = history.file("a", text);
    let inventory = history.resolve(vec![file], "a: x");
    let entry = &inventory.entries[0];
    assert_eq!(inventory.hook(entry, &entry.hooks[0]).unwrap().0.file, None);

    history.main = main("");
    let file = history.file("a", text);
    let inventory = history.resolve(vec![file], "a: x+");
    let entry = &inventory.entries[0];
    let (key, hook) = inventory.hook(entry, &entry.hooks[0]).unwrap();
    assert_eq!((key.file.as_deref(), hook.name.as_str()), (Some("a"), "n"));
}

#[test]
fn a_hook_of_one_file_is_not_seen_by_another() {
    let entry = |name: &str| {
        format!("[[certificate]]\nname = {name:?}\nprofile = \"P\"\ncommon_name = \"x\"\nhooks = [\"n\"]\n")
    };
    let mut history = History::start();
    let with = history.file("a", &format!("[hook.n]\ncommand = [\"/bin/a\"]\n{}", entry("x")));
    let without = history.file("b", &entry("y"));
    let inventory = history.resolve(vec![with, without], "a: x, b: +");
    assert_eq!(inventory.hooks.len(), 1);
}

/// What one step of a history does to a file: new words, or nothing left of it.
type Step = (&'static str, Option<Vec<&'static str>>);

fn step() -> impl Strategy<Value = Step> {
    let word = prop::sample::select(vec!["u", "v", "w", "x", "y", "z", "x /k", "y /k", "z /l", "!"]);
    let words = prop::option::weighted(0.9, prop::collection::vec(word, 0..4));
    (prop::sample::select(vec!["a", "b", "c", "d"]), words)
}

/// The inventory after each step of a watched directory, with whether it was amended.
fn amended(steps: &[Vec<Step>]) -> Vec<bool> {
    let mut history = History::start();
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    let mut inventory = Inventory::default();
    let mut was_amended = Vec::new();
    for step in steps {
        let mut changes = Changes::default();
        for (label, words) in step {
            let now = words.as_ref().map(|words| text(&words.join(" ")));
            if files.get(label) == now.as_ref() {
                continue;
            }
            changes.files.retain(|file| &*file.label != *label);
            changes.gone.retain(|gone| &**gone != *label);
            match now {
                Some(text) => {
                    changes.files.push(history.file(label, &text));
                    files.insert(label, text);
                }
                None => {
                    files.remove(label);
                    changes.gone.push((*label).into());
                }
            }
        }
        let all = files.iter().map(|(label, text)| history.file(label, text)).collect();
        let settled = resolve_watched(all, &history.main.hooks, &inventory.in_force);
        let mut by_itself = inventory.clone();
        let difference = by_itself.amend(&changes, &history.main.hooks, Trigger::Watch);
        match &difference {
            Some(difference) => {
                assert_eq!(by_itself, settled);
                let whole = Difference::between(&inventory, &settled);
                assert_eq!(difference.gone, whole.gone);
                assert!(whole.labels.is_subset(&difference.labels));
                let wanted: Vec<_> = difference.wanted.iter().map(|entry| &entry.name).collect();
                let is_news = |entry: &&Arc<_>| !inventory.entries.contains(entry);
                assert!(settled.entries.iter().filter(is_news).all(|entry| wanted.contains(&&entry.name)));
            }
            None => assert_eq!(by_itself, inventory, "nothing was done"),
        }
        was_amended.push(difference.is_some());
        inventory = settled;
        history.in_force = inventory.in_force.clone();
    }
    was_amended
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What is taken in by itself comes out as if everything had been settled.
    #[test]
    fn a_change_by_itself_comes_out_as_all_together(steps in prop::collection::vec(prop::collection::vec(step(), 1..3), 1..8)) {
        amended(&steps);
    }
}

#[test]
fn what_concerns_nobody_else_is_taken_in_by_itself() {
    let step = |label, words: &[&'static str]| vec![(label, Some(words.to_vec()))];
    let check = |steps: &[Vec<Step>], expected: &[bool]| assert_eq!(amended(steps), expected);
    check(&[step("a", &["x"]), step("b", &["y /k"]), step("a", &["x", "z"]), vec![("b", None)]], &[true; 4]);
    // A name moves within one reading.
    check(&[step("a", &["x", "y"]), [step("a", &["x"]), step("b", &["y"])].concat()], &[true, true]);
    // A name and a target that another file has; a file that is refused.
    check(&[step("a", &["x"]), step("b", &["x"])], &[true, false]);
    check(&[step("a", &["x /k"]), step("b", &["y /k"])], &[true, false]);
    check(&[step("a", &["!"]), step("b", &["y"]), step("a", &["x"]), step("b", &["z"])], &[false, false, false, true]);
    // The last one goes.
    check(&[step("a", &["x"]), step("a", &[])], &[true, false]);
}
