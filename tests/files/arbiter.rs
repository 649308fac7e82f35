//! Whether a server of OpenSSL's loads a certificate file and a key file: asked of Python, which does it the same way, for
//! all cases in one process.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Case;

/// The two files of a case.
pub(crate) fn paths(folder: &Path, number: usize) -> [PathBuf; 2] {
    ["crt", "key"].map(|kind| folder.join(format!("{number}.{kind}")))
}

/// Writes the cases, and asks of each, or why not; `None` where there is nobody to ask.
pub(crate) fn loads(folder: &Path, cases: &[Case]) -> Option<Vec<Result<(), String>>> {
    for (number, case) in cases.iter().enumerate() {
        let [certificate, key] = paths(folder, number);
        fs::write(certificate, &case.certificate).unwrap();
        fs::write(key, &case.key).unwrap();
    }
    let mut python = Command::new("python3");
    python.arg("-").arg(folder).arg(cases.len().to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut python) = python.spawn() else {
        println!("skipped: python3 is not there");
        return None;
    };
    python.stdin.take().unwrap().write_all(SCRIPT.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    let answer = |line: &str| if line == "yes" { Ok(()) } else { Err(line.to_owned()) };
    let answers: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(answer).collect();
    assert_eq!(answers.len(), cases.len());
    Some(answers)
}

/// Keeps a case that failed, where `RENEWD_FILES_KEEP` names a folder.
pub(crate) fn keep(case: &Case, number: usize) {
    if let Some(folder) = std::env::var_os("RENEWD_FILES_KEEP") {
        let [certificate, key] = paths(Path::new(&folder), number);
        fs::write(certificate, &case.certificate).unwrap();
        fs::write(key, &case.key).unwrap();
    }
}

/// A password is asked for by no terminal: whoever has one is a server that has it too.
const SCRIPT: &str = r#"
import ssl, sys
folder, count = sys.argv[1], int(sys.argv[2])
for number in range(count):
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/{number}.crt", f"{folder}/{number}.key", "password")
        print("yes")
    except Exception as why:
        print(ascii(str(why)))
"#;
