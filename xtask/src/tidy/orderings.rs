//! Every atomic ordering names its reason or its partner.

use super::Finding;
use super::source::{Source, comment};
use proc_macro2::TokenTree;
use std::collections::BTreeMap;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Expr, ExprMethodCall, ItemUse};

const ORDERINGS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];

/// How far above the comment may be.
const REACH: usize = 3;

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut calls = Calls::default();
    calls.visit_file(&source.file);
    let used = source.tokens.iter().filter_map(ordering);
    used.filter(|(line, _)| !source.is_test(*line) && !calls.imports.contains(line))
        .filter(|(line, word)| !is_explained(source, calls.first_line(*line), *line, word))
        .map(|(line, word)| {
            let message =
                format!("`{word}` without a comment that says why, or what it pairs with");
            source.finding(line, "ordering", message)
        })
        .collect()
}

fn ordering(token: &TokenTree) -> Option<(usize, &'static str)> {
    let TokenTree::Ident(ident) = token else { return None };
    let word = ORDERINGS.into_iter().find(|word| ident == word)?;
    Some((ident.span().start().line, word))
}

fn is_explained(source: &Source, first: usize, line: usize, word: &str) -> bool {
    let word = word.to_lowercase();
    (top(source, first.saturating_sub(REACH))..=line)
        .filter_map(|number| comment(source.line(number)))
        .map(str::to_lowercase)
        .any(|comment| comment.contains(&word) || comment.contains("pairs with"))
}

/// A comment of which the end is within reach counts as a whole: this is where it begins.
fn top(source: &Source, mut line: usize) -> usize {
    let is_comment = |line: usize| source.line(line).trim_start().starts_with("//");
    while is_comment(line) && is_comment(line.saturating_sub(1)) {
        line -= 1;
    }
    line
}

/// Where the calls are whose arguments rustfmt may have put on lines of their own.
#[derive(Default)]
struct Calls {
    /// From the line of an ordering to the line of the method that takes it.
    methods: BTreeMap<usize, usize>,
    imports: Vec<usize>,
}

impl Calls {
    fn first_line(&self, line: usize) -> usize {
        self.methods.get(&line).copied().unwrap_or(line)
    }
}

impl<'ast> Visit<'ast> for Calls {
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        for argument in call.args.iter().filter(|argument| matches!(argument, Expr::Path(_))) {
            self.methods.insert(argument.span().start().line, call.method.span().start().line);
        }
        syn::visit::visit_expr_method_call(self, call);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.imports.extend(item.span().start().line..=item.span().end().line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn lines(text: &str) -> Vec<usize> {
        let source = Source::parse(Path::new("src/a.rs"), text.to_owned()).unwrap();
        check(&source).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn an_ordering_without_a_comment_is_found() {
        assert_eq!(lines("fn a() {\nx.load(Ordering::Acquire);\n}"), [2]);
        assert_eq!(lines("fn a() {\n// Release: no, another.\nx.load(Acquire);\n}"), [3]);
    }

    #[test]
    fn a_comment_with_its_word_or_its_partner_will_do() {
        assert!(lines("fn a() {\n// An acquire load.\nx.load(Acquire);\n}").is_empty());
        assert!(lines("fn a() {\nx.load(Acquire); // pairs with A1\n}").is_empty());
    }

    #[test]
    fn a_comment_four_lines_up_is_too_far() {
        assert_eq!(lines("fn a() {\n// Acquire.\nb();\nb();\nb();\nx.load(Acquire);\n}"), [6]);
    }

    #[test]
    fn a_long_comment_counts_as_a_whole() {
        let comment = "// Acquire\n// is\n// what\n// it\n// is.\n";
        assert!(lines(&format!("fn a() {{\n{comment}x.load(Acquire);\n}}")).is_empty());
        assert_eq!(
            lines(&format!("fn a() {{\n{comment}b();\nb();\nb();\nx.load(Acquire);\n}}")),
            [10]
        );
    }

    #[test]
    fn arguments_on_lines_of_their_own_count_from_the_method() {
        let call = "x.compare_exchange(\na,\nb,\nAcqRel,\nRelaxed,\n)";
        let text = format!("fn a() {{\n// AcqRel pairs with A1.\n{call};\n}}");
        assert!(lines(&text).is_empty());
    }

    #[test]
    fn imports_and_tests_need_no_reason() {
        assert!(lines("use Ordering::{\nAcquire,\n};").is_empty());
        assert!(lines("#[cfg(test)]\nmod tests {\nfn a() { x.load(Acquire); }\n}").is_empty());
    }

    #[test]
    fn macros_are_looked_into() {
        assert_eq!(lines("fn a() {\nassert_eq!(x.load(SeqCst), 1);\n}"), [2]);
    }
}
