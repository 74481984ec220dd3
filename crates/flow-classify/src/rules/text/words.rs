//! A line, word by word.

use super::values::Value;
use super::{Fault, Faulty};
use linecard_net::rule::Match;

/// The words of a line that are left.
#[derive(Debug)]
pub(super) struct Words<'a> {
    line: &'a str,
    words: Vec<(usize, &'a str)>,
    at: usize,
}

impl<'a> Words<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        let end = line.find('#').unwrap_or(line.len());
        let mut words: Vec<(usize, &str)> = Vec::new();
        let mut rest = 0;
        for word in line[..end].split_whitespace() {
            let start = rest + line[rest..].find(word).unwrap_or(0);
            rest = start + word.len();
            let mut from = start;
            if words.iter().any(|(_, word)| *word == "->") {
                // Among actions a comma always stands alone.
                for part in word.split_inclusive(',') {
                    let bare = part.trim_end_matches(',');
                    words.extend((!bare.is_empty()).then_some((from, bare)));
                    words.extend((bare.len() < part.len()).then_some((from + bare.len(), ",")));
                    from += part.len();
                }
            } else {
                words.push((start, word));
            }
        }
        Self { line, words, at: 0 }
    }

    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).map(|(_, word)| *word)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.peek().is_none()
    }

    /// The column of the next word, or of the end of the last.
    pub(super) fn column(&self) -> usize {
        let last = self.words.last().map_or(0, |(start, word)| start + word.len());
        let byte = self.words.get(self.at).map_or(last, |(start, _)| *start);
        self.line[..byte].chars().count() + 1
    }

    /// The fault of the next word.
    pub(super) fn wrong(&self, wanted: &str) -> Faulty {
        let wanted = wanted.to_owned();
        let fault = match self.peek() {
            Some(found) => Fault::Word { found: found.to_owned(), wanted },
            None => Fault::End { wanted },
        };
        (self.column(), fault)
    }

    /// Takes the next word if it is one of these.
    pub(super) fn take_one_of(&mut self, names: &[&'static str]) -> Option<&'static str> {
        let next = self.peek()?;
        let found = names.iter().find(|name| **name == next).copied();
        self.at += usize::from(found.is_some());
        found
    }

    pub(super) fn expect(&mut self, word: &'static str) -> Result<(), Faulty> {
        self.take_one_of(&[word]).map(drop).ok_or_else(|| self.wrong(&format!("`{word}`")))
    }

    pub(super) fn is_arrow(&self) -> bool {
        self.peek() == Some("->")
    }

    pub(super) fn is_number(&self) -> bool {
        self.peek().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()))
    }

    /// Takes a value.
    pub(super) fn value<T: Value>(&mut self, wanted: &str) -> Result<T, Faulty> {
        let value = self.peek().and_then(T::read).ok_or_else(|| self.wrong(wanted))?;
        self.at += 1;
        Ok(value)
    }

    /// Takes a value, prefix, range or value and mask.
    pub(super) fn matching<T: Value>(&mut self) -> Result<Match<T>, Faulty> {
        let wrong = |words: &Self| words.wrong(&format!("{}, {}", T::WANTED, SHAPES));
        let found = self.peek().and_then(matching).ok_or_else(|| wrong(self))?;
        self.at += 1;
        Ok(found)
    }

    /// Takes a list of such, with commas between.
    pub(super) fn matchings<T: Value>(&mut self) -> Result<Vec<Match<T>>, Faulty> {
        let wrong = |words: &Self| words.wrong(&format!("{}, {SHAPES}, or a list", T::WANTED));
        let list = self.peek().and_then(|word| word.split(',').map(matching).collect());
        let list = list.ok_or_else(|| wrong(self))?;
        self.at += 1;
        Ok(list)
    }
}

const SHAPES: &str = "VALUE/LEN, LO-HI or VALUE&MASK";

fn matching<T: Value>(word: &str) -> Option<Match<T>> {
    if word == "any" {
        return Some(Match::Any);
    }
    if let Some((value, mask)) = word.split_once('&') {
        return Some(Match::Mask { value: T::read(value)?, mask: T::read(mask)? });
    }
    if let Some((value, len)) = word.split_once('/') {
        return Some(Match::prefix(T::read(value)?, len.parse().ok()?));
    }
    if let Some((lo, hi)) = word.split_once('-') {
        return Some(Match::Range { lo: T::read(lo)?, hi: T::read(hi)? });
    }
    T::read(word).map(Match::Exact)
}
