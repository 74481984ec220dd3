//! The grammar of lcore maps:
//!
//! ```text
//! map   = part { "," part }
//! part  = set [ "@" set ]
//! set   = range | "(" range { "," range } ")"
//! range = number [ "-" number ]
//! ```
//!
//! Blanks are allowed anywhere between.

use std::collections::HashSet;

use super::map::{Lcore, Wrong};

/// The largest number of an lcore or a cpu; a slip of the finger should not make a million.
pub(super) const MOST: u32 = 65_535;

/// Where (in characters from 0) something is wrong, and what.
pub(super) type Fault = (usize, Wrong);

pub(super) fn map(text: &str) -> Result<Vec<Lcore>, Fault> {
    let mut parser = Parser { chars: text.chars().collect(), at: 0, placed: HashSet::new() };
    let mut lcores = Vec::new();
    loop {
        parser.part(&mut lcores)?;
        match parser.peek() {
            None => return Ok(lcores),
            Some(',') => parser.at += 1,
            Some(_) => return Err((parser.at, Wrong::NoComma)),
        }
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    placed: HashSet<u32>,
}

/// Numbers with the place where each was written.
struct Set {
    start: usize,
    numbers: Vec<(u32, usize)>,
    form: Form,
}

#[derive(PartialEq)]
enum Form {
    Bare,
    Grouped,
}

impl Set {
    fn cpus(&self) -> Vec<u32> {
        let mut cpus: Vec<_> = self.numbers.iter().map(|(number, _)| *number).collect();
        cpus.sort_unstable();
        cpus.dedup();
        cpus
    }

    fn needs_parentheses(&self) -> bool {
        self.form == Form::Bare && self.numbers.len() > 1
    }
}

impl Parser {
    /// The next character that is not a blank.
    fn peek(&mut self) -> Option<char> {
        while self.chars.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
        self.chars.get(self.at).copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn part(&mut self, lcores: &mut Vec<Lcore>) -> Result<(), Fault> {
        let set = self.set()?;
        let at_sign = self.at;
        let shared = match self.take('@') {
            true if set.needs_parentheses() => return Err((at_sign, Wrong::NoParentheses)),
            true => Some(self.elsewhere()?),
            false if set.form == Form::Grouped => Some(set.cpus()),
            false => None,
        };
        for (id, place) in set.numbers {
            if !self.placed.insert(id) {
                return Err((place, Wrong::Twice));
            }
            lcores.push(Lcore { id, cpus: shared.clone().unwrap_or_else(|| vec![id]) });
        }
        Ok(())
    }

    fn elsewhere(&mut self) -> Result<Vec<u32>, Fault> {
        let set = self.set()?;
        if set.needs_parentheses() {
            Err((set.start, Wrong::NoParentheses))
        } else {
            Ok(set.cpus())
        }
    }

    fn set(&mut self) -> Result<Set, Fault> {
        let mut numbers = Vec::new();
        let form = if self.take('(') { Form::Grouped } else { Form::Bare };
        self.peek();
        let start = self.at;
        self.range(&mut numbers)?;
        if form == Form::Grouped {
            while self.take(',') {
                self.range(&mut numbers)?;
            }
            if !self.take(')') {
                return Err((self.at, Wrong::Unclosed));
            }
        }
        Ok(Set { start, numbers, form })
    }

    fn range(&mut self, numbers: &mut Vec<(u32, usize)>) -> Result<(), Fault> {
        let (first, place) = self.number()?;
        let (last, end) = if self.take('-') { self.number()? } else { (first, place) };
        if last < first {
            return Err((end, Wrong::Backwards));
        }
        numbers.extend((first..=last).map(|number| (number, place)));
        Ok(())
    }

    fn number(&mut self) -> Result<(u32, usize), Fault> {
        self.peek();
        let start = self.at;
        while self.chars.get(self.at).is_some_and(char::is_ascii_digit) {
            self.at += 1;
        }
        let digits: String = self.chars[start..self.at].iter().collect();
        match digits.parse() {
            _ if digits.is_empty() => Err((start, Wrong::NoNumber)),
            Ok(number) if number <= MOST => Ok((number, start)),
            _ => Err((start, Wrong::TooLarge)),
        }
    }
}
