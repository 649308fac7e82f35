//! Whether what should be installed is: read from the files, as a service would read them.

use std::fs;

use renewd::engine::status::Status;
use renewd::pki::certificate::certificates_in_file;
use renewd::pki::chain;
use renewd::pki::key::PrivateKey;

use super::stage::{self, NAMES, Stage};

/// Prints what is installed; tells what is not as it should be.
pub(crate) fn defects(status: &Status, stage: &Stage) -> Vec<String> {
    let mut defects = Vec::new();
    for name in NAMES {
        match installed(name, stage, &status.at) {
            Ok(end) => println!("{name:<5} key and certificate belong together, the chain is whole, valid until {end}"),
            Err(defect) => defects.push(format!("{name}: {defect}")),
        }
    }
    let renewals = stage::renewals(status);
    println!("edge was renewed {renewals} times; TLM issued {} certificates for it", stage.issued("edge.example.com"));
    if renewals < 2 {
        defects.push("edge was not renewed twice".to_owned());
    }
    for name in ["www", "mail"] {
        let issued = stage.issued(&format!("{name}.example.com"));
        if issued != 1 {
            defects.push(format!("TLM issued {issued} certificates for {name}, where one was needed"));
        }
    }
    defects
}

/// Checks a live set as it is at `now`; its end.
fn installed(name: &str, stage: &Stage, now: &str) -> Result<String, String> {
    let read =
        |file: &str| fs::read(stage.live(name).join(file)).map_err(|error| format!("{file} cannot be read: {error}"));
    let key = PrivateKey::from_pem(&read("privkey.pem")?).map_err(|error| error.to_string())?;
    let fullchain = String::from_utf8(read("fullchain.pem")?).map_err(|error| error.to_string())?;
    let set = certificates_in_file(&fullchain).map_err(|error| error.to_string())?;
    let leaf = set.first().ok_or("fullchain.pem is empty")?;
    if leaf.spki() != key.spki() {
        return Err("key and certificate do not belong together".to_owned());
    }
    let root = certificates_in_file(stage.issuing_root()).map_err(|error| error.to_string())?;
    let facts = renewd::pki::leaf::read(leaf).map_err(|error| error.to_string())?;
    chain::build(leaf, &set, &chain::Aim::new(&root, facts.not_before))
        .map_err(|obstacles| format!("no chain: {obstacles:?}"))?;
    let end = facts.not_after.to_string();
    // Both are written in one form, in UTC and to the second, so that the order of the texts is that of the times.
    if end.as_str() <= now { Err(format!("it expired at {end}")) } else { Ok(end) }
}
