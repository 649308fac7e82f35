//! Files as the disk has them: which are read, which are refused, and who may write to them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use renewd::config::{
    DropInCache, InForce, InventoryFile, Main, Problem, ServiceUser, examine_inventory, examine_main, load_inventory,
    load_main, permission_problems,
};
use renewd::core::time::Timestamp;
use rustix::fs::{XattrFlags, setxattr};
use tempfile::TempDir;

const ENTRY: &str = "[[certificate]]\nname = \"NAME\"\nprofile = \"P\"\ncommon_name = \"x.example\"\n";

/// A configuration folder with an empty inventory.
struct Folder {
    root: TempDir,
    main: Main,
}

impl Folder {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let inventory = root.path().join("certs.d");
        fs::create_dir(&inventory).unwrap();
        let file = root.path().join("renewd.toml");
        let state = root.path().join("state");
        fs::write(&file, format!("inventory = {inventory:?}\nstate_dir = {state:?}\n")).unwrap();
        set_mode(&file, 0o640);
        set_mode(&inventory, 0o750);
        let main = load_main(&file).unwrap_or_else(|problems| panic!("{}", problems[0]));
        Self { root, main }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("certs.d").join(name)
    }

    fn write(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let entry = ENTRY.replace("NAME", name.trim_start_matches('.').split('.').next().unwrap());
        fs::write(&path, entry).unwrap();
        set_mode(&path, 0o640);
        path
    }

    fn load(&self) -> Vec<InventoryFile> {
        load_inventory(&self.main, ServiceUser::of_process()).unwrap()
    }

    /// The only file's only problem.
    #[track_caller]
    fn problem(&self) -> String {
        let files = self.load();
        let [file] = &files[..] else { panic!("one file, not {}", files.len()) };
        let problems = file.content.as_ref().unwrap_err();
        assert_eq!(problems.len(), 1);
        problems[0].to_string()
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn files_are_read_by_name_and_in_order() {
    let folder = Folder::new();
    for name in ["b.toml", "a.toml", ".hidden.toml", "c.toml~", "d.txt", "e.toml.dpkg-new"] {
        folder.write(name);
    }
    symlink(folder.path("d.txt"), folder.path("z.toml")).unwrap();
    let files = folder.load();
    let labels: Vec<_> = files.iter().map(|file| &*file.label).collect();
    assert_eq!(labels, ["certs.d/a.toml", "certs.d/b.toml", "certs.d/z.toml"]);
    let first = &files[0].content.as_ref().unwrap().entries[0];
    assert_eq!(first.source.to_string(), "certs.d/a.toml line 1");
    assert!(files.iter().all(|file| file.content.is_ok()));
}

#[test]
fn one_bad_file_holds_back_no_other() {
    let folder = Folder::new();
    folder.write("a.toml");
    fs::write(folder.path("b.toml"), "nonsense").unwrap();
    folder.write("c.toml");
    let taken: Vec<_> = folder.load().iter().map(|file| file.content.is_ok()).collect();
    assert_eq!(taken, [true, false, true]);
}

#[test]
fn what_is_no_readable_regular_file_is_refused() {
    let folder = Folder::new();
    fs::create_dir(folder.path("a.toml")).unwrap();
    assert_eq!(folder.problem(), "certs.d/a.toml: the file cannot be read: it is not a regular file");

    let folder = Folder::new();
    symlink("/nonexistent/x", folder.path("a.toml")).unwrap();
    let problem = folder.problem();
    assert!(problem.starts_with("certs.d/a.toml: the file cannot be read: No such file"), "{problem}");
    assert!(problem.ends_with("(a symlink to /nonexistent/x)"), "{problem}");
}

/// Nobody writes to the pipe: a reader that opened it plainly would wait for ever.
#[test]
fn a_pipe_is_refused_without_waiting() {
    let folder = Folder::new();
    let made = std::process::Command::new("mkfifo").arg(folder.path("a.toml")).status().unwrap();
    assert!(made.success());
    assert_eq!(folder.problem(), "certs.d/a.toml: the file cannot be read: it is not a regular file");
}

#[test]
fn size_and_encoding_are_bounded() {
    let folder = Folder::new();
    let path = folder.write("a.toml");
    fs::write(&path, "#".repeat(1 << 20)).unwrap();
    assert!(folder.load()[0].content.is_ok(), "1 MiB is not too large");
    fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
    assert_eq!(folder.problem(), "certs.d/a.toml: the file is larger than 1 MiB");
    fs::write(&path, b"a = 1\nb = \"\xff\"\n").unwrap();
    let expected = "certs.d/a.toml:2:6: this is not UTF-8\n  |\n2 | b = \"\u{fffd}\"\n  |      ^ expected TOML, which is written in UTF-8";
    assert_eq!(folder.problem(), expected);
}

#[test]
fn a_missing_directory_is_an_error_of_its_own() {
    let folder = Folder::new();
    fs::remove_dir(folder.path("")).unwrap();
    let problem = load_inventory(&folder.main, ServiceUser::of_process()).unwrap_err().to_string();
    assert!(problem.contains("the inventory directory cannot be read: No such file"), "{problem}");
    let group = ServiceUser::of_process().gid;
    let remedy = format!("create it (run: install -d -g {group} -m 0750 {}),", folder.main.inventory.display());
    assert!(problem.contains(&remedy), "{problem}");
    assert_eq!(permission_problems(&folder.main, ServiceUser::of_process()), []);
}

#[test]
fn a_missing_main_file_is_a_problem() {
    let problems = load_main(Path::new("/nonexistent/renewd.toml")).unwrap_err();
    assert!(problems[0].to_string().starts_with("/nonexistent/renewd.toml: the file cannot be read: No such file"));
}

#[test]
fn what_everybody_may_write_to_is_refused_with_the_chmod() {
    let folder = Folder::new();
    let service = ServiceUser::of_process();
    let file = folder.write("a.toml");
    assert_eq!(permission_problems(&folder.main, service), []);

    set_mode(&file, 0o646);
    let expected = format!("{0}: everybody may write to this file: run: chmod o-w {0}", file.display());
    assert_eq!(folder.problem(), expected);

    set_mode(&folder.main.file, 0o642);
    let expected = format!("{0}: everybody may write to this file: run: chmod o-w {0}", folder.main.file.display());
    assert_eq!(told(&load_main(&folder.main.file).unwrap_err()), expected);
    assert_eq!(told(&permission_problems(&folder.main, service)), expected);

    set_mode(&folder.main.file, 0o640);
    set_mode(&folder.main.inventory, 0o757);
    let problem = load_inventory(&folder.main, service).unwrap_err();
    assert!(problem.to_string().ends_with(&format!("run: chmod o-w {}", folder.main.inventory.display())), "{problem}");
    assert_eq!(permission_problems(&folder.main, service), [problem]);
}

/// The group of the directory is made a foreign one: by changing it where the test may, else by another service.
#[test]
fn a_directory_of_a_foreign_group_is_refused() {
    let folder = Folder::new();
    let mut service = ServiceUser::of_process();
    set_mode(&folder.main.inventory, 0o770);
    assert_eq!(permission_problems(&folder.main, service), [], "the service's own group may write");
    if service.uid == 0 {
        chown(&folder.main.inventory, None, Some(FOREIGN)).unwrap();
        assert_eq!(permission_problems(&folder.main, ServiceUser { gid: FOREIGN, ..service }), []);
    } else {
        service.gid = FOREIGN;
    }
    let problem = told(&permission_problems(&folder.main, service));
    assert!(problem.ends_with(&format!("run: chmod g-w {}", folder.main.inventory.display())), "{problem}");
    set_mode(&folder.main.inventory, 0o777);
    let problem = told(&permission_problems(&folder.main, service));
    assert!(problem.ends_with(&format!("run: chmod go-w {}", folder.main.inventory.display())), "{problem}");
}

#[test]
fn a_file_of_a_foreign_owner_is_refused() {
    let folder = Folder::new();
    let file = folder.write("a.toml");
    let service = ServiceUser::of_process();
    if service.uid != 0 {
        println!("skipped: only root can give a file to somebody else");
        return;
    }
    chown(&file, Some(FOREIGN), None).unwrap();
    let files = load_inventory(&folder.main, ServiceUser { uid: FOREIGN, ..service }).unwrap();
    assert!(files[0].content.is_ok(), "the service's own user");
    let files = load_inventory(&folder.main, service).unwrap();
    let owner = fs::metadata(&file).unwrap().uid();
    let problem = told(files[0].content.as_ref().unwrap_err());
    let shown = file.display();
    let expected = format!("{shown}: this file belongs to user {owner}, who is neither root nor the service's: ");
    assert!(problem.starts_with(&expected), "{problem}");
    assert!(problem.ends_with(&format!("run: chown 0 {shown}")), "{problem}");
}

/// A foreign owner or group may write to a file as well as everybody may.
#[test]
fn what_foreigners_may_write_to_is_refused() {
    let folder = Folder::new();
    let file = folder.write("a.toml");
    let own = ServiceUser::of_process();
    set_mode(&file, 0o660);
    assert!(folder.load()[0].content.is_ok(), "the service's own group may write");
    let (user, group) = if own.uid == 0 {
        chown(&file, None, Some(FOREIGN)).unwrap();
        chown(&folder.main.inventory, Some(FOREIGN), None).unwrap();
        chown(&folder.main.file, Some(FOREIGN), None).unwrap();
        (own, own)
    } else {
        (ServiceUser { uid: FOREIGN, ..own }, ServiceUser { gid: FOREIGN, ..own })
    };
    let files = examine_inventory(&folder.main, group).unwrap();
    let problem = told(files[0].content.as_ref().unwrap_err());
    assert!(problem.ends_with(&format!("may write to this file: run: chmod g-w {}", file.display())), "{problem}");

    let expected = [&folder.main.file, &folder.main.inventory].map(|path| format!("run: chown 0 {}", path.display()));
    let problems = permission_problems(&folder.main, user);
    assert_eq!(problems.len(), 2);
    for (problem, expected) in problems.iter().zip(&expected) {
        assert!(problem.to_string().ends_with(expected), "{problem}");
    }
    assert_eq!(load_inventory(&folder.main, user).unwrap_err(), problems[1]);
}

/// The directory may be a symlink: what it leads to counts, and it may lead elsewhere at any time.
#[test]
fn the_directory_may_be_a_symlink() {
    let folder = Folder::new();
    folder.write("a.toml");
    let real = folder.root.path().join("release-1");
    fs::rename(&folder.main.inventory, &real).unwrap();
    symlink("release-1", &folder.main.inventory).unwrap();
    assert_eq!(&*folder.load()[0].label, "certs.d/a.toml");

    let next = folder.root.path().join("release-2");
    fs::create_dir(&next).unwrap();
    symlink("release-2", folder.root.path().join("new")).unwrap();
    fs::rename(folder.root.path().join("new"), &folder.main.inventory).unwrap();
    assert_eq!(folder.load().len(), 0);

    set_mode(&next, 0o777);
    assert!(load_inventory(&folder.main, ServiceUser::of_process()).is_err(), "who may write is asked of the target");
    fs::remove_dir(&next).unwrap();
    let problem = load_inventory(&folder.main, ServiceUser::of_process()).unwrap_err().to_string();
    assert!(problem.contains("(a symlink to release-2)"), "{problem}");
    fs::write(&next, "").unwrap();
    let problem = load_inventory(&folder.main, ServiceUser::of_process()).unwrap_err().to_string();
    assert!(problem.ends_with("name a directory as `inventory` in renewd.toml"), "{problem}");
}

/// Two names that every message would show alike cannot both be told from each other.
#[test]
fn a_name_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    for name in [&b"a\xff.toml"[..], b"a\nb.toml"] {
        let folder = Folder::new();
        let plain = folder.write("a.toml");
        fs::rename(plain, folder.path("").join(std::ffi::OsStr::from_bytes(name))).unwrap();
        assert!(
            folder.problem().ends_with("the name of the file is not plain text: rename it"),
            "{}",
            folder.problem()
        );
    }
}

/// A bad `renewd.toml` hides no problem of the drop-in files, and makes none up.
#[test]
fn every_file_is_examined_beside_a_bad_main_file() {
    let folder = Folder::new();
    let inventory = &folder.main.inventory;
    let text = format!(
        "inventory = {inventory:?}\nkeep_generations = 0\n[hook.n]\nunit = \"n.service\"\n[defaults]\nprofil = \"P\"\n"
    );
    fs::write(&folder.main.file, text).unwrap();
    fs::write(folder.path("a.toml"), "[[certificate]]\nname = \"a\"\ncommon_name = \"a\"\nhooks = [\"n\"]\nkee = 1\n")
        .unwrap();
    let (main, problems) = examine_main(&folder.main.file);
    assert_eq!(problems.len(), 3);
    let files = examine_inventory(&main.unwrap(), ServiceUser::of_process()).unwrap();
    let problem = told(files[0].content.as_ref().unwrap_err());
    assert!(problem.contains("unknown key `kee`"), "{problem}");

    fs::write(&folder.main.file, "inventory = \"certs.d\"\n").unwrap();
    assert_eq!(examine_main(&folder.main.file).0, None, "nobody knows which directory is meant");
}

#[track_caller]
fn told(problems: &[Problem]) -> String {
    let [problem] = problems else { panic!("one problem, not {}", problems.len()) };
    problem.to_string()
}

const FOREIGN: u32 = 54_321;

/// A look after another one tells what is new and what is gone. What changed in the very moment of a look is read once
/// more, and nothing else keeps the looks short: not even a symlink that leads nowhere.
#[test]
fn a_look_tells_what_changed_since_the_one_before() {
    let folder = Folder::new();
    let mut drop_ins = DropInCache::default();
    let mut look = |at: Timestamp| {
        let changes = drop_ins.look(&folder.main, ServiceUser::of_process(), &InForce::new(), at).unwrap();
        let state = |file: &InventoryFile| format!("{}{}", file.label, if file.content.is_ok() { "" } else { "!" });
        let files: Vec<String> = changes.files.iter().map(state).collect();
        (format!("{} - {}", files.join(" "), changes.gone.join(" ")), drop_ins.is_settled())
    };
    let changed = |path: &Path| Timestamp::from_seconds(fs::symlink_metadata(path).unwrap().ctime());
    let minute = std::time::Duration::from_secs(60);
    let (a, b) = (folder.write("a.toml"), folder.write("b.toml"));
    assert_eq!(look(changed(&b)), ("certs.d/a.toml certs.d/b.toml - ".to_owned(), false));
    let later = changed(&b) + minute;
    assert_eq!(look(later), (" - ".to_owned(), true));
    fs::write(&a, "bad").unwrap();
    fs::remove_file(&b).unwrap();
    symlink("nowhere", folder.path("c.toml")).unwrap();
    assert_eq!(look(later), ("certs.d/a.toml! certs.d/c.toml! - certs.d/b.toml".to_owned(), true));
    assert_eq!(look(later), (" - ".to_owned(), true));
    fs::rename(folder.write("d.toml"), folder.path("nowhere")).unwrap();
    assert_eq!(look(later), ("certs.d/c.toml - ".to_owned(), true));
    // Before, between and behind those that are there.
    for name in ["0.toml", "b.toml", "x.toml"] {
        folder.write(name);
    }
    assert_eq!(look(later), ("certs.d/0.toml certs.d/b.toml certs.d/x.toml - ".to_owned(), true));
    assert_eq!(look(later), (" - ".to_owned(), true));
}

/// The group's bits of what has an access list are the list's mask: the list says who may write.
#[test]
fn an_access_list_says_who_may_write() {
    let folder = Folder::new();
    let inventory = &folder.main.inventory;
    let own = ServiceUser::of_process();
    let shown = inventory.display();
    for (user, remedy) in [(own.uid, None), (FOREIGN, Some(format!("run: setfacl -x u:{FOREIGN} {shown}")))] {
        let none = u32::MAX;
        let entries = [(1, 7, none), (2, 7, user), (4, 5, none), (16, 7, none), (32, 0, none)];
        let entry = |(tag, rights, id): &(u16, u16, u32)| {
            [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        let list: Vec<u8> = 2_u32.to_le_bytes().into_iter().chain(entries.iter().flat_map(entry)).collect();
        if setxattr(inventory, "system.posix_acl_access", &list, XattrFlags::empty()).is_err() {
            println!("skipped: there are no access lists here");
            return;
        }
        let problems = permission_problems(&folder.main, own);
        let told = problems.first().map(ToString::to_string);
        assert_eq!(told.is_some(), remedy.is_some(), "{told:?}");
        assert!(told.unwrap_or_default().ends_with(remedy.as_deref().unwrap_or("")), "{problems:?}");
    }
}
