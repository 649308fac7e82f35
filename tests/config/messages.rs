//! Every bad file in `bad/` has its messages beside it, compared to the letter. `UPDATE_EXPECTED=1` writes them anew:
//! read the difference before committing it. Files named `main-*` are read as `renewd.toml`.

use std::fs;
use std::path::{Path, PathBuf};

use renewd::config::{Main, Problem, parse_inventory_file, parse_main};

#[test]
fn every_bad_file_is_refused_with_its_messages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/bad");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|found| found.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    assert!(files.len() > 20, "the bad files are there");
    let wrong: Vec<_> = files.iter().filter_map(|path| difference(path)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn difference(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let problems: Vec<String> = refuse(name, &text).iter().map(|problem| format!("{problem}\n")).collect();
    let told = problems.join("\n");
    let expected = path.with_extension("expected");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&expected, &told).unwrap();
    }
    let expected = fs::read_to_string(&expected).unwrap_or_default();
    (told != expected).then(|| format!("=== {name} says\n{told}\n=== and not\n{expected}"))
}

fn refuse(name: &str, text: &str) -> Vec<Problem> {
    if name.starts_with("main-") {
        return parse_main(Path::new("/etc/renewd/renewd.toml"), text).expect_err(name);
    }
    parse_inventory_file(&main(), &format!("certs.d/{name}"), text).expect_err(name)
}

fn main() -> Main {
    let text = "[hook.nginx]\nunit = \"nginx.service\"\nverb = \"reload\"\n";
    parse_main(Path::new("/etc/renewd/renewd.toml"), text).unwrap()
}

/// A secret in the wrong place is repeated nowhere: not in the message, not in the line that is shown.
#[test]
fn no_message_repeats_a_secret() {
    #[track_caller]
    fn check(text: &str) {
        let problems = parse_main(Path::new("/etc/renewd/renewd.toml"), text).unwrap_err();
        for problem in &problems {
            let told = format!("{problem}\n{}\n{problem:?}", problem.summary());
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
    check("[api]\napi_key = \"01_hunter2\"\n");
    check("[api]\napi_key_file = \"01_hunter2\"\n");
    check("[api]\napi_key_file = [\"/etc/renewd/key\", \"01_hunter2\"]\n");
    check("[api]\napi_key_file = 01_hunter2\n");
    check("[api]\napi-key: hunter2\napi_key = hunter2");
    check("api = { api_key = 'hunter2', tmeout = \"1s\" }\n");
    check("[api]\nurl = \"https://me:hunter2@one.digicert.com\"\n");
    check("[api]\nproxy = \"http://me:hunter2@proxy:3128\"\n");
    check("[api]\nproxy = \"socks5://me:hunter2@proxy\" # x\n");
    check("[api]\nproxy_credentials_file = \"me:hunter2\"\n");
    check("[defaults.files]\npkcs12_password_file = \"hunter2\"\n");
    check("[defaults.files]\nprivate_key = \"hunter2\"\n");
    check("[api]\napi_key = \"hunter2\"\ntimeout = 030\n");
}
