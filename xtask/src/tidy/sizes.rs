//! Functions and files stay small.

use super::Finding;
use super::source::{Source, code_line};
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Attribute, Block, ImplItemFn, ItemFn, Signature, TraitItemFn};

const FN_LINES: usize = 70;
const FILE_LINES: usize = 600;

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut functions = Functions { source, findings: Vec::new() };
    functions.visit_file(&source.file);
    let code = code_lines(source);
    if code > FILE_LINES {
        let message = format!("{code} lines of code, the limit is {FILE_LINES}: split the file");
        functions.findings.push(source.finding(1, "file-length", message));
    }
    functions.findings
}

/// Lines that are neither empty, nor only comment, nor tests.
fn code_lines(source: &Source) -> usize {
    let is_code = |text: &str| !text.is_empty() && !text.starts_with("//");
    let lines = source.lines.iter().zip(1..);
    lines.filter(|(text, number)| is_code(text.trim()) && !source.is_test(*number)).count()
}

struct Functions<'a> {
    source: &'a Source,
    findings: Vec<Finding>,
}

impl Functions<'_> {
    fn measure(&mut self, signature: &Signature, attributes: &[Attribute], block: &Block) {
        let first = code_line(signature, attributes, &signature.ident);
        let lines = block.span().end().line + 1 - first;
        if lines > FN_LINES && !self.source.is_test(first) {
            let message =
                format!("`{}` has {lines} lines, the limit is {FN_LINES}", signature.ident);
            self.findings.push(self.source.finding(first, "fn-length", message));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.measure(&item.sig, &item.attrs, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.measure(&item.sig, &item.attrs, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(block) = &item.default {
            self.measure(&item.sig, &item.attrs, block);
        }
        syn::visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn rules(text: &str) -> Vec<&'static str> {
        let source = Source::parse(Path::new("src/a.rs"), text.to_owned()).unwrap();
        check(&source).into_iter().map(|finding| finding.rule).collect()
    }

    fn function(lines: usize) -> String {
        format!("/// Documented.\nfn a() {{\n{}}}\n", "b();\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_of_seventy_lines_is_the_longest() {
        assert!(rules(&function(70)).is_empty());
        assert_eq!(rules(&function(71)), ["fn-length"]);
    }

    #[test]
    fn only_code_counts_for_a_file() {
        let code = "const A: u8 = 0;\n";
        assert!(rules(&code.repeat(600)).is_empty());
        assert!(rules(&format!("{}// why\n\n", code.repeat(600))).is_empty());
        assert_eq!(rules(&code.repeat(601)), ["file-length"]);
    }

    #[test]
    fn tests_may_be_long() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}", function(700));
        assert!(rules(&tests).is_empty());
    }
}
