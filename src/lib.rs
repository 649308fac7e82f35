//! `renewd` keeps a host's TLS certificates renewed through the REST API of DigiCert Trust Lifecycle Manager.
//!
//! # The rooms
//!
//! One rule says who may use whom, and a test (`tests/tidy`) holds it: `core` ← `pki` ← {`config`, `api`, `store`} and `engine`
//! (on core and config alone) ← `daemon` ← `cli`. Beside them stands `parallel`, which every room but the pure ones may use.
//!
//! | room | holds |
//! | --- | --- |
//! | [`core`] | what is wanted, what is true, what was started, and what to do next for one certificate: [`core::decide`], and the order of the steps of an action: [`core::protocol`]; pure |
//! | [`pki`] | keys, signing requests, leaves, chains, the gate |
//! | [`config`] | `renewd.toml` and the drop-in files, and every message about them |
//! | [`api`] | the port to TLM, its client, and what each answer means |
//! | [`store`] | every file that renewd writes: the only writer is [`store::replace`] |
//! | [`engine`] | what the loop knows and decides for all certificates together; pure |
//! | [`daemon`] | the shell around the engine: performs, and tells what came of it |
//! | [`cli`] | one file per command |
//!
//! # Three ways through them
//!
//! **An entry, from TOML to symlink.** [`config::DropInCache`] reads the drop-in files that changed; [`config::resolve`] decides
//! which are in force and what is different. [`engine::Input::InventoryRead`] brings the difference to the engine, which
//! wants the files of a new certificate looked at ([`store::observe`]). What they show is [`core::known::observed::Observed`], and
//! [`core::decide::decide`] makes an action of it, with a reason and an instant to look again. The engine gives it a place
//! and wants a [`engine::job::Job`] run; the shell performs its effects one after the other, up to
//! [`store::generation::install`], which renames the link `live`.
//!
//! **An answer, from bytes to journal.** [`api::Client`] reads a bounded answer and makes a value or a
//! [`core::failure::Failure`] of it, whose class says whom it concerns and what to do. The shell hands it to the job, whose
//! protocol names the next effect: keep the answer, then record [`core::event::Event::Issued`]. The event goes to
//! [`store::journal`] first and to the engine then, which folds it into [`core::record::Record`].
//!
//! **A wake-up, from timer to decision.** [`engine::Engine::next_wake`] says when, and for what. The shell sleeps until then
//! and tells [`engine::Input::Tick`]; the engine takes the certificates that are due and wants them looked at; what they
//! show is decided for as above. Nothing else counts time.
//!
//! The simulation (`tests/simulation`) is the other shell around the same engine; the crash tests are a third.
//!
//! # The promises
//!
//! Messages, comments and tests cite them by number; `tests/tidy` holds this list to the code.
//!
//! | promise | says | shown by |
//! | --- | --- | --- |
//! | 1 | a live certificate is replaced only by one that TLS clients take, for our key and our names | `tests/daemon/gate.rs: each_defect_is_refused_with_its_own_message`, `src/pki/gate/suite.rs: every_member_of_the_path_may_do_what_it_does` |
//! | 2 | at every instant the paths name a pair that belongs together, and no half-written file | `tests/crash/points.rs: a_renewal_with_fixed_paths_survives_every_crash`, `tests/fire/kill.rs: killed_at_any_instant_nothing_breaks_and_nothing_is_lost` |
//! | 3 | one request in flight; key and intent on the disk before it leaves; a lost answer is looked up | `tests/crash/points.rs: the_order_of_the_protocol_is_needed`, `tests/fire/lost.rs: an_answer_that_is_lost_on_the_way_costs_no_second_certificate` |
//! | 4 | the budget of submissions holds across crashes and restarts | `tests/fire/lost.rs: where_nobody_may_search_lost_answers_cost_no_more_than_the_budget`, `tests/simulation/main.rs: every_promise_holds_for_a_year_of_faults` |
//! | 5 | what the API answers for in time is renewed in time | `tests/simulation/main.rs: every_promise_holds_for_a_year_of_faults` |
//! | 6 | hooks run at least once per generation, are repeated until they succeed, and cost no certificate | `tests/daemon/hooks.rs: a_failing_hook_is_loud_and_costs_no_certificate`, `tests/daemon/hooks.rs: killed_between_install_and_hook_the_hook_still_runs_and_once` |
//! | 7 | `valid` means served | `tests/daemon/serve.rs: deploying_until_the_new_leaf_is_seen_and_loud_while_another_is`, `tests/simulation/scenarios/not-served.txt` |
//! | 8 | what fails holds back nothing that does not use it | `tests/simulation/faults.rs`, `tests/fire/load.rs: one_answer_of_a_gigabyte_and_one_that_never_comes_hold_back_nobody_else` |
//! | 9 | each certificate has one reason, which names what ends the wait | `tests/simulation/main.rs: scenarios_go_as_written`, `tests/daemon/commands.rs: the_status_of_a_failing_certificate_answers_four_questions` |
//! | 10 | no secret is shown anywhere, or kept in memory longer than it is used | `tests/security/secrets.rs: keys_and_passwords_are_shown_nowhere`, `tests/api/secrets.rs: nothing_secret_is_logged_at_any_level` |
//! | 11 | from whatever a crash leaves behind the daemon goes on by itself | `tests/crash/points.rs: a_first_install_survives_every_crash`, `tests/crash/journal.rs: a_journal_cut_at_any_length_goes_on_with_its_whole_lines` |
//! | 12 | no step of the clock and no suspend causes a mass reissue or a stall | `tests/simulation/scenarios/clock.txt`, `tests/simulation/scenarios/sleep.txt` |
//! | 13 | a disk that takes nothing is found before a submission is spent, and costs no certificate | `tests/fire/disk.rs: a_full_disk_is_found_before_a_submission_is_spent`, `tests/simulation/scenarios/disk-full.txt` |
//! | 14 | no redirect, TLS always, answers bounded; HTML is an error of the API | `tests/api/wire.rs: an_answer_that_is_too_large_or_no_http`, `tests/security/environment.rs: no_key_of_the_configuration_switches_tls_off` |
//! | 15 | configuration and credentials that others can change or read are refused | `tests/config/disk.rs: what_everybody_may_write_to_is_refused_with_the_chmod`, `tests/api/credentials.rs: a_file_that_others_can_open_is_refused_with_the_command` |
//! | 16 | text from outside is cut, cleaned and masked before anybody sees it | `tests/daemon/hostile.rs: what_the_other_side_writes_is_one_clean_line_everywhere`, `src/core/text.rs: a_secret_that_is_broken_up_folded_or_cut_is_masked` |
//! | 17 | paths outside its own folders are worked on by descriptor, and replaced whole or not at all | `tests/security/disk.rs: a_target_that_becomes_a_link_is_replaced_and_not_followed`, `tests/crash/files.rs: the_set_at_fixed_paths_is_put_back_whole_where_one_file_cannot_be_replaced` |
//! | 18 | no input, descriptor, thread or process that is missing ends the daemon | `tests/daemon/log.rs: a_log_that_cannot_be_written_ends_nothing_and_is_counted`, `tests/daemon/notify.rs: a_supervisor_that_reads_nothing_blocks_nothing_and_hears_the_last_word_later` |
//! | 19 | each doubt about what is installed stays in `status` as a remark | `tests/daemon/gate.rs: what_is_only_unusual_is_taken` |
//! | 20 | what is revoked by itself was replaced, is live nowhere here, and its successor was in service for as long as the entry says | `tests/simulation/main.rs: every_promise_holds_for_a_year_of_faults`, `src/core/decide/superseded/tests.rs: each_doubt_puts_it_off`, `tests/daemon/superseded.rs: what_was_replaced_is_revoked_once_the_new_one_was_in_service_for_so_long` |
//!
//! # Words
//!
//! * **adopt**: take an entry, or files that were there before, under management.
//! * **attempt**: the number of a request of one certificate; it names its key on the disk.
//! * **cached profile**: a profile as it was read last, and why it could not be read since.
//! * **decision**: an action, its reason, and when to look again.
//! * **effect**: one step of an action, performed by the shell: see [`core::protocol::Effect`].
//! * **emergency stage**: the last part of a validity, in which caution gives way: see [`core::schedule`].
//! * **end that counts**: the earliest end of leaf and served chain.
//! * **gate**: what stands between an answer and the disk: [`pki::gate`].
//! * **generation**: an installed set, in a folder of its own; `live` links to one of them.
//! * **journal**: what was started and what came of it; its fold is a **record**.
//! * **observed**: what the files of a certificate show.
//! * **place**: the right to one of the requests that run at a time; **turn**: the right to send one now.
//! * **seat**: whom TLM counts a certificate for.
//! * **set**: key, leaf and chain that belong together.
//!
//! # A child without keys
//!
//! What a hostile answer meets today is one process that holds keys: bounded, without `unsafe` of its own, and in a sandbox,
//! but one. Hooks already run apart (`user`, `renewd-hook@`). The next step would part the network and the parsing from
//! the keys. It is not done; this is how it would be.
//!
//! * **Two processes.** The *keeper* has the state directory, the journal, the engine, keys and hooks. The *speaker* has the
//!   sockets: it is the same program, started by the keeper as `/proc/self/exe` with a socket pair, before the first thread,
//!   as a user of its own where root starts it, else by Landlock (no path but CA roots and `resolv.conf`) and `no_new_privs`.
//! * **The cut** is the port [`api::Tlm`]: seventeen methods whose arguments and answers are serde types already, so a line
//!   of JSON each way with a number. The speaker gets a CSR and never a key. It has the API key or the client's identity, which
//!   it needs for each request; the keeper hands it over at the start and at a reload. [`pki::gate`] parses what comes back
//!   and runs in the speaker first, whose verdict is *no*; a *yes* is judged again by the keeper, by webpki alone, since the
//!   keeper's own comparison of the public key decides what is installed.
//! * **Who watches.** The keeper waits for the speaker's end and starts another one after a second; what was under way
//!   becomes a lost answer, for which the protocol has its way ([`core::event::Event`], promise 3). The probe, and the
//!   fetches of `ca_status_check`, go to the speaker, too.
//! * **The cost**: about 900 lines (the port over a pair 250, starting and restarting 150, credentials and reload 120, Landlock
//!   100, moving probe and fetch 130, tests 150), 4 to 5 MB more resident, one more hop (some 50 µs) for each request, and a unit
//!   that allows a second user. What it buys: a fault in HTTP, TLS or X.509 reads no private key of a service. It does not
//!   keep the API key from the speaker, with which certificates for any allowed name can be asked for.
//!
//! # A second net, and what it is not
//!
//! Under its unit renewd writes only where systemd lets it (`ProtectSystem=strict`, `ReadWritePaths=`). Under it and elsewhere
//! Landlock holds each piece of work to its own folders ([`daemon::sandbox`] says how): a mistake with a path, or one that is
//! exchanged at the wrong moment, is refused by the kernel. It is no boundary against code that runs in renewd, since one
//! thread stays unrestricted: hooks write anywhere, and are that thread's children. The commands that write without the
//! loop (`adopt`, the switch of `rollback` where no daemon runs) do without it, and so does the thread of the log, which began before.
//!
//! What keeps it small: a thread starts hooks, not a second process, so that their end, their time-outs and their orphans
//! stay what they are; and nothing is ever widened, as the work on targets has a thread of its own each time.
//! `no_new_privs`, which Landlock needs, is a thread's as well: hooks of a user that is not root keep their sudo. Where the kernel has
//! none, or a filter of system calls refuses it, one line at debug level says so and everything goes on as without.
//!
//! # To add …
//!
//! … **a key of the configuration**: a field of the table in `config/entry_table.rs` or `config/main_table.rs` (that is the
//! schema as well), its check in [`config`], its field in [`core::wanted::entry::Entry`] or [`config::Main`], a line in `config/`'s
//! examples and in the man page. The tests of `tests/config` name what was forgotten.
//!
//! … **an endpoint**: a method of [`api::Tlm`], its wire in `api/body_*.rs`, its route in `tests/simulator`, and its faults
//! there; then an effect of [`core::protocol`], whose match arms lead to every shell.
//!
//! … **a state or a reason**: a variant of [`core::reason::Reason`] with its words, its code in [`core::code`] and its page
//! for `renewd explain`; where it waits for something, what ends that, in [`core::decide`].

pub mod api;
pub mod cli;
pub mod config;
pub mod core;
pub mod daemon;
pub mod engine;
pub mod parallel;
pub mod pki;
pub mod store;
