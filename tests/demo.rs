//! `cargo run --example demo`: the daemon against a simulated TLM over TLS, with four certificates to watch.

#![expect(clippy::unwrap_used, reason = "a demo that meets the unexpected ends loudly")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what it prints is all it is for")]
#![expect(clippy::disallowed_methods, reason = "it watches in real time")]

#[path = "demo/proof.rs"]
mod proof;
#[path = "demo/service.rs"]
mod service;
#[path = "simulator/mod.rs"]
mod simulator;
#[path = "demo/stage.rs"]
mod stage;
#[path = "demo/view.rs"]
mod view;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};

use service::Service;
use stage::Stage;
use view::View;

/// Four certificates: one issued at once, one approved later, one so short that it is renewed while you watch, and one
/// that is refused at first.
#[derive(Debug, Parser)]
#[command(name = "demo")]
struct Arguments {
    /// Ends by itself after this time, and checks that everything was installed; default: Ctrl-C ends it.
    #[arg(long = "for", value_name = "TIME", value_parser = renewd::config::duration)]
    time: Option<Duration>,
    /// Leaves the files in this folder, which must not exist yet.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).unwrap();
    }
    let mut stage = match Stage::set(arguments.keep.as_deref()) {
        Ok(stage) => stage,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let service = Service::start(&stage.config());
    let mut view = View::open(&stage.introduction());
    let begun = Instant::now();
    let ends = |status: &renewd::engine::status::Status| {
        let Some(time) = arguments.time else { return false };
        begun.elapsed() >= time && (stage::is_complete(status) || begun.elapsed() >= time + GRACE)
    };
    let status = loop {
        let status = service.status();
        view.show(&status, begun.elapsed());
        if stop.load(Ordering::Relaxed) || ends(&status) {
            break status;
        }
        if let Some(news) = stage.play(&service, &status, begun.elapsed()) {
            view.tell(&news, begun.elapsed());
        }
        std::thread::sleep(LOOK);
    };
    view.close();
    service.stop();
    if stop.load(Ordering::Relaxed) {
        println!("Ended. {}", stage.farewell());
        return ExitCode::SUCCESS;
    }
    let defects = proof::defects(&status, &stage);
    for defect in &defects {
        eprintln!("NOT AS IT SHOULD BE: {defect}");
    }
    println!("{}", stage.farewell());
    if defects.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

const LOOK: Duration = Duration::from_millis(200);
/// A slow machine gets so much more time.
const GRACE: Duration = Duration::from_secs(60);
