//! One file while it is read: its text, and the problems found so far. Nothing stops at the first problem.

use std::collections::BTreeSet;
use std::ops::Range;

use super::problem::{Fault, Problem};

/// A file being read.
pub(in crate::config) struct Diagnostics<'a> {
    label: &'a str,
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
    problems: Vec<(usize, Problem)>,
}

impl<'a> Diagnostics<'a> {
    /// The file that messages call `label`.
    pub(in crate::config) fn new(label: &'a str, text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { label, text, lines: std::iter::once(0).chain(ends).collect(), problems: Vec::new() }
    }

    /// What messages call the file.
    pub(in crate::config) fn label(&self) -> &'a str {
        self.label
    }

    /// Notes a problem at `span` (in bytes).
    pub(in crate::config) fn refuse(&mut self, span: Range<usize>, fault: Fault) {
        if self.problems.len() == MOST {
            return;
        }
        let at = span.start;
        self.problems.push((at, Problem::at(self.label, self.text, span, fault)));
    }

    /// Runs `read`, and drops its problems on lines that already have one: they are usually its consequences.
    pub(in crate::config) fn on_clean_lines(&mut self, read: impl FnOnce(&mut Self)) {
        let before = self.problems.len();
        let lines: BTreeSet<u32> = self.problems.iter().map(|(at, _)| self.line(*at)).collect();
        read(self);
        let found = self.problems.split_off(before);
        let news: Vec<_> = found.into_iter().filter(|(at, _)| !lines.contains(&self.line(*at))).collect();
        self.problems.extend(news);
    }

    /// The text.
    pub(in crate::config) fn text(&self) -> &'a str {
        self.text
    }

    /// The line (from 1) of a byte.
    pub(in crate::config) fn line(&self, at: usize) -> u32 {
        u32::try_from(self.lines.partition_point(|start| *start <= at)).unwrap_or(u32::MAX)
    }

    /// The problems in the order of the text.
    pub(in crate::config) fn finish(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|(at, _)| *at);
        self.problems.into_iter().map(|(_, problem)| problem).collect()
    }
}

/// The most problems that are told of one file: one with more is no configuration.
const MOST: usize = 100;
