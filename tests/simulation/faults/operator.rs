//! An operator who holds, releases and freezes, at any moment; and hooks with programs that say no before a switch, or find
//! fault with it after.

use std::time::Duration;

use renewd::core::name::{CertName, HookName};
use renewd::core::wanted::window::{DeployWindow, Freeze};

use crate::host::{Before, HookMood};
use crate::put_off::Order;
use crate::world::{START, Task, World};

use super::odd::{NAMES, odd};
use super::{Act, DAY, Fault, Odd, YEAR};

/// The worst moments: while a request is pending, between issue and install, while a program is asked, and before its hooks.
const MOMENTS: [&str; 12] =
    ["key", "intent", "send", "pickup", "issued", "issued", "answer", "gate", "gate", "before", "rename", "installed"];
const ANSWERS: [Before; 6] =
    [Before::SaysNo, Before::SaysNo, Before::Hangs, Before::CannotStart, Before::Slow, Before::Slow];
const HOURS: [&str; 4] = ["Fri 16:00-24:00", "Mon-Fri 08:00-18:00", "Sat,Sun 00:00-24:00", "22:00-06:00"];

/// What a seed has of them in a year.
pub(super) fn draw(world: &mut World) {
    for hook in ["web", "mail"] {
        if world.random.percent(70) {
            world.asked_before.insert(named(hook), Before::Agrees);
        }
    }
    for _ in 0..6 + world.random.below(18) {
        let at = Duration::from_secs(world.random.below(YEAR.as_secs()));
        one(world, at);
    }
}

fn order(world: &mut World, at: Duration, order: Order) {
    world.later(at, Task::Fault(Fault::Order(order)));
}

fn named(hook: &str) -> HookName {
    hook.parse().expect("a valid name")
}

/// One order, or one program that changes its mind, with its end where it has one.
fn one(world: &mut World, at: Duration) {
    let name: CertName = world.random.pick(&NAMES).parse().expect("a valid name");
    let hook: &&str = world.random.pick(&["web", "mail"]);
    let hook = named(hook);
    let span = world.random.span(HOUR, DAY * 60);
    let ends = world.random.percent(80);
    match world.random.below(18) {
        0..=4 => {
            let hold = hold(world, span);
            odd(world, at, Odd::Act(name.clone(), hold));
            if world.random.percent(10) {
                world.later(at + HOUR, Task::Fault(Fault::Revoke(name.clone())));
            }
            if ends {
                odd(world, at + span * 2, Odd::Act(name, Act::Release));
            }
        }
        5..=8 => {
            for _ in 0..=world.random.below(3) {
                let hold = hold(world, span);
                let act = *world.random.pick(&[hold, hold, Act::Release]);
                let moment = *world.random.pick(&MOMENTS);
                odd(world, at, Odd::Lurk(moment, act));
            }
            world.later(at, Task::Fault(Fault::Ask(name)));
            order(world, at + span, Order::ReleaseAll);
        }
        9 => {
            let lasts = world.random.percent(50).then_some(span / 4);
            order(world, at, Order::HoldAll(lasts));
            order(world, at + span, Order::ReleaseAll);
        }
        10 | 11 => freeze(world, at, span, ends),
        12..=15 => {
            let answer = *world.random.pick(&ANSWERS);
            order(world, at, Order::Before(hook.clone(), answer));
            if ends {
                order(world, at + span, Order::Before(hook, Before::Agrees));
            }
        }
        _ => {
            order(world, at, Order::Mood(hook.clone(), HookMood::Untested));
            if ends {
                order(world, at + span, Order::Mood(hook, HookMood::Fine));
            }
        }
    }
}

/// With and without an end of its own, and rarely one that no emergency breaks.
fn hold(world: &mut World, span: Duration) -> Act {
    let lasts = *world.random.pick(&[None, Some(span), Some(span / 8)]);
    Act::Hold { lasts, even_emergency: world.random.percent(25) }
}

/// Dates, told some time before, or hours of each week.
fn freeze(world: &mut World, at: Duration, span: Duration, ends: bool) {
    let freeze = if world.random.percent(50) {
        let from = START + at + span / 10;
        Freeze::Dates { from, until: from + span }
    } else {
        let hours: &&str = world.random.pick(&HOURS);
        let hours = DeployWindow::parse(hours).expect("hours");
        Freeze::Hours(DeployWindow { zone: Some("UTC".to_owned()), ..hours })
    };
    order(world, at, Order::Freeze(freeze.clone()));
    if ends {
        order(world, at + span, Order::Thaw(freeze));
    }
}

const HOUR: Duration = Duration::from_secs(3600);
