//! A Rust file, parsed once for all rules.

use super::Finding;
use proc_macro2::{Ident, TokenStream, TokenTree};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Attribute, Item};

pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) lines: Vec<String>,
    pub(super) file: syn::File,
    /// Every token in order, groups opened.
    pub(super) tokens: Vec<TokenTree>,
    tests: Vec<RangeInclusive<usize>>,
}

impl Source {
    pub(super) fn parse(path: &Path, text: String) -> Result<Self, Finding> {
        let unreadable = |error: syn::Error| {
            Finding::new(path, error.span().start().line, "syntax", error.to_string())
        };
        let file = syn::parse_file(&text).map_err(unreadable)?;
        let stream: TokenStream =
            text.parse().map_err(|error| unreadable(syn::Error::from(error)))?;
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        let lines = text.lines().map(str::to_owned).collect();
        let tests = TestRanges::of(path, &file);
        Ok(Self { path: path.to_owned(), lines, file, tokens, tests })
    }

    /// The text of a line, counted from 1; empty outside the file.
    pub(super) fn line(&self, number: usize) -> &str {
        number.checked_sub(1).and_then(|index| self.lines.get(index)).map_or("", String::as_str)
    }

    /// Whether a line belongs to tests.
    pub(super) fn is_test(&self, line: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&line))
    }

    pub(super) fn finding(
        &self,
        line: usize,
        rule: &'static str,
        message: impl Into<String>,
    ) -> Finding {
        Finding::new(&self.path, line, rule, message)
    }
}

fn flatten(stream: TokenStream, into: &mut Vec<TokenTree>) {
    for token in stream {
        into.push(token.clone());
        if let TokenTree::Group(group) = token {
            flatten(group.stream(), into);
        }
    }
}

/// Where the code begins: after documentation and attributes.
pub(super) fn code_line(item: &impl Spanned, attributes: &[Attribute], first: &Ident) -> usize {
    let after = attributes.iter().map(|attribute| attribute.span().end().line + 1).max();
    after.unwrap_or(item.span().start().line).min(first.span().start().line)
}

/// The comment part of a line, if any. A `//` inside a string counts as one: rules that look for
/// a comment are then too kind, never too strict.
pub(super) fn comment(line: &str) -> Option<&str> {
    line.find("//").map(|at| &line[at..])
}

struct TestRanges(Vec<RangeInclusive<usize>>);

impl TestRanges {
    fn of(path: &Path, file: &syn::File) -> Vec<RangeInclusive<usize>> {
        if is_test_file(path) || is_test_only(&file.attrs) {
            return vec![0..=usize::MAX];
        }
        let mut ranges = Self(Vec::new());
        ranges.visit_file(file);
        ranges.0
    }
}

impl<'ast> Visit<'ast> for TestRanges {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test_only(attributes(item)) {
            self.0.push(item.span().start().line..=item.span().end().line);
        } else {
            syn::visit::visit_item(self, item);
        }
    }
}

/// Cargo's folders of tests, and files of a `mod tests;`.
fn is_test_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs")
        || path.parent().is_some_and(|parent| parent.iter().any(|part| part == "tests"))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[test]`, `#[cfg(test)]`, `#[cfg(all(test, …))]`, but not `#[cfg(not(test))]`.
fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.meta.require_list().is_ok_and(|list| asks_for_test(&list.tokens))
    })
}

fn asks_for_test(tokens: &TokenStream) -> bool {
    let mut negated = false;
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => {
            negated = ident == "not" || ident == "any";
            ident == "test"
        }
        TokenTree::Group(group) => !negated && asks_for_test(&group.stream()),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::parse(Path::new("src/a.rs"), text.to_owned()).unwrap()
    }

    #[test]
    fn a_module_of_tests_is_test_code_and_its_neighbours_are_not() {
        let source = source(
            "fn a() {}\n#[cfg(all(test, not(loom)))]\nmod tests {\n fn b() {}\n}\nfn c() {}",
        );
        let found: Vec<_> = (1..=6).map(|line| source.is_test(line)).collect();
        assert_eq!(found, [false, true, true, true, true, false]);
    }

    #[test]
    fn code_for_other_than_tests_is_not_test_code() {
        assert!(!source("#[cfg(not(test))]\nfn a() {}").is_test(2));
        assert!(!source("#[cfg(any(test, feature = \"x\"))]\nfn a() {}").is_test(2));
    }

    #[test]
    fn a_file_under_tests_is_test_code() {
        let source = Source::parse(Path::new("tests/host_a.rs"), "fn a() {}".to_owned()).unwrap();
        assert!(source.is_test(1));
    }

    #[test]
    fn a_file_that_does_not_parse_is_a_finding() {
        let finding = Source::parse(Path::new("a.rs"), "fn {".to_owned()).err().unwrap();
        assert_eq!(finding.rule, "syntax");
    }
}
