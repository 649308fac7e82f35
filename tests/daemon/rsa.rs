//! RSA keys take seconds of a processor: they are made beside the loop, and delay no event.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::host::Host;
use crate::simulator::ProfileSpec;

const DUE: usize = 12;

/// The processor time of a process or of one of its threads, in hundredths of a second.
fn processor_time(folder: &Path) -> u64 {
    let stat = fs::read_to_string(folder.join("stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum()
}

/// The loop's own, which is the first thread, and that of all.
fn used(host: &Host) -> (u64, u64) {
    let pid = host.pid().to_string();
    let process = Path::new("/proc").join(&pid);
    (processor_time(&process.join("task").join(pid)), processor_time(&process))
}

fn name(number: usize) -> String {
    format!("rsa-{number:02}")
}

/// How many of the RSA keys were made.
fn made(host: &Host) -> usize {
    let is_there = |name: &String| {
        let kept = host.path("state/pending").join(name).join("1/privkey.pem");
        kept.exists() || host.live(name).exists()
    };
    (0..DUE).map(name).filter(is_there).count()
}

#[test]
fn rsa_keys_are_made_beside_the_loop_and_delay_no_event() {
    let sizes = ["256", "3072", "4096"].map(str::to_owned).to_vec();
    let mut host = Host::new(ProfileSpec { key_sizes: sizes, ..ProfileSpec::default() });
    host.configure("", "requests_per_minute = 6000\nmax_concurrent_requests = 16\n");
    host.entry("www", "");
    host.start();
    host.wait_state("www", "valid");
    let (loop_before, all_before) = used(&host);
    let of_kind = |number: usize| if number.is_multiple_of(2) { "rsa-3072" } else { "rsa-4096" };
    (0..DUE).for_each(|number| host.entry(&name(number), &format!("key = \"{}\"\n", of_kind(number))));
    host.signal(Signal::HUP);
    host.until("keys are being made", || (used(&host).1 > all_before + 20).then_some(()));
    let said = host.says(&["status"]);
    let after_status = made(&host);
    // Who reads the files instead, as nobody answers, says so.
    assert!(said.err.is_empty() && said.out.contains(&name(DUE - 1)), "{}{}", said.out, said.err);
    assert!(after_status < DUE, "the status was told after all keys were made");
    let said = host.says(&["renew", "www"]);
    let after_renewal = made(&host);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(host.certificate("www")["generation"], 2);
    assert!(after_renewal < DUE, "www was replaced after all keys were made");
    for number in 0..DUE {
        host.wait_state(&name(number), "valid");
    }
    let (loop_after, all_after) = used(&host);
    let (of_loop, of_all) = (loop_after - loop_before, all_after - all_before);
    println!(
        "status after {after_status} keys, renewal after {after_renewal}; {of_loop} of {of_all} ticks are the loop's"
    );
    assert!(of_loop * 4 < of_all, "the loop used {of_loop} ticks of {of_all}: it makes keys");
}
