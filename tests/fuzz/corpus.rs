//! The corpora: seeds written by hand, and what long runs found to lead to other code. Both are in the repository.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// Every input of a target, in a fixed order.
pub fn read(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folders = ["seeds", "corpus"].map(|kind| folder().join(kind).join(target));
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Keeps an input that failed, for the repository.
pub fn keep(target: &str, input: &[u8]) -> PathBuf {
    let path = folder().join("corpus").join(target).join(format!("failed-{:08x}", crc32fast::hash(input)));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&path).unwrap();
    file.write_all(input).unwrap();
    path
}

/// The words of `words.dict`, in libFuzzer's format: one in quotation marks on each line, bytes as `\xHH`.
pub fn words() -> Vec<Vec<u8>> {
    let text = fs::read_to_string(folder().join("words.dict")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| word(line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).unwrap())).collect()
}

fn word(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    loop {
        rest = match rest {
            [] => return bytes,
            [b'\\', b'x', hex @ ..] => {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&hex[..2]).unwrap(), 16).unwrap());
                &hex[2..]
            }
            [b'\\', escaped, rest @ ..] | [escaped, rest @ ..] => {
                bytes.push(*escaped);
                rest
            }
        };
    }
}
