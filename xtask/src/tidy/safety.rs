//! Every `unsafe` has its proof beside it, also inside macros.

use super::Finding;
use super::source::Source;
use proc_macro2::{Delimiter, Ident, TokenTree};
use syn::visit::Visit;
use syn::{Attribute, ImplItemFn, ItemFn, ItemImpl, ItemTrait, Token, TraitItemFn};

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = proofs(source);
    let mut contracts = Contracts { source, findings: Vec::new() };
    contracts.visit_file(&source.file);
    findings.append(&mut contracts.findings);
    findings
}

/// `unsafe {` and `unsafe impl` want `// SAFETY:` directly above.
fn proofs(source: &Source) -> Vec<Finding> {
    let pairs = source.tokens.iter().zip(source.tokens.iter().skip(1));
    let wanting =
        pairs.filter_map(|(token, next)| Some((unsafe_keyword(token)?, needs_proof(next)?)));
    wanting
        .map(|(keyword, what)| (keyword.span().start().line, what))
        .filter(|(line, _)| !has_proof(source, *line))
        .map(|(line, what)| {
            source.finding(
                line,
                "safety",
                format!("no `// SAFETY:` comment directly above `unsafe {what}`"),
            )
        })
        .collect()
}

fn unsafe_keyword(token: &TokenTree) -> Option<&Ident> {
    match token {
        TokenTree::Ident(ident) if ident == "unsafe" => Some(ident),
        _ => None,
    }
}

fn needs_proof(next: &TokenTree) -> Option<&'static str> {
    match next {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some("{"),
        TokenTree::Ident(ident) if ident == "impl" => Some("impl"),
        _ => None,
    }
}

/// Looks up from `line`, over attributes and the beginning of the same statement, at most to
/// the nearest comment.
fn has_proof(source: &Source, line: usize) -> bool {
    let mut above = line.saturating_sub(1);
    while above > 0 {
        let text = source.line(above).trim();
        if text.starts_with("//") {
            return comment_block(source, above).any(|text| text.contains("SAFETY:"));
        }
        if text.is_empty() || !(text.starts_with("#[") || is_unfinished(text)) {
            return false;
        }
        above -= 1;
    }
    false
}

/// The lines of a comment, from its last line up.
fn comment_block(source: &Source, last: usize) -> impl Iterator<Item = &str> {
    let lines = (1..=last).rev().map(|number| source.line(number).trim());
    lines.take_while(|text| text.starts_with("//"))
}

/// Whether a statement goes on after this line.
fn is_unfinished(text: &str) -> bool {
    !text.ends_with([';', '{', '}'])
}

/// `unsafe fn` and `unsafe trait` want a `# Safety` section; an `unsafe fn` of a trait's
/// implementation has the trait's.
struct Contracts<'a> {
    source: &'a Source,
    findings: Vec<Finding>,
}

impl Contracts<'_> {
    fn want(
        &mut self,
        keyword: Option<&Token![unsafe]>,
        attributes: &[Attribute],
        what: &str,
        name: &Ident,
    ) {
        let Some(keyword) = keyword else { return };
        if !attributes.iter().any(is_safety_section) {
            let message =
                format!("`unsafe {what} {name}` has no `# Safety` section in its documentation");
            self.findings.push(self.source.finding(keyword.span.start().line, "safety", message));
        }
    }
}

fn is_safety_section(attribute: &Attribute) -> bool {
    let syn::Meta::NameValue(pair) = &attribute.meta else { return false };
    let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &pair.value else {
        return false;
    };
    pair.path.is_ident("doc") && text.value().contains("# Safety")
}

fn unsafe_of(signature: &syn::Signature) -> Option<&Token![unsafe]> {
    match &signature.safety {
        syn::Safety::Unsafe(keyword) => Some(keyword),
        _ => None,
    }
}

impl<'ast> Visit<'ast> for Contracts<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.want(unsafe_of(&item.sig), &item.attrs, "fn", &item.sig.ident);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if item.trait_.is_none() {
            syn::visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.want(unsafe_of(&item.sig), &item.attrs, "fn", &item.sig.ident);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        self.want(unsafe_of(&item.sig), &item.attrs, "fn", &item.sig.ident);
        syn::visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.want(item.unsafety.as_ref(), &item.attrs, "trait", &item.ident);
        syn::visit::visit_item_trait(self, item);
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
    fn a_block_with_its_proof_above_is_fine() {
        assert!(lines("fn a() {\n// SAFETY: it is\n// so.\nunsafe { b() }\n}").is_empty());
        assert!(lines("fn a() {\n// SAFETY: so.\nlet x =\nunsafe { b() };\n}").is_empty());
        assert!(lines("fn a() {\n// SAFETY: so.\n#[expect(x)]\nunsafe { b() }\n}").is_empty());
    }

    #[test]
    fn a_block_without_one_is_found() {
        assert_eq!(lines("fn a() {\nunsafe { b() }\n}"), [2]);
        assert_eq!(lines("fn a() {\n// because\nunsafe { b() }\n}"), [3]);
    }

    #[test]
    fn a_proof_does_not_serve_two_statements() {
        assert_eq!(lines("fn a() {\n// SAFETY: so.\nunsafe { b() };\nunsafe { c() }\n}"), [4]);
    }

    #[test]
    fn a_proof_does_not_reach_over_an_empty_line() {
        assert_eq!(lines("fn a() {\n// SAFETY: so.\n\nunsafe { b() }\n}"), [4]);
    }

    #[test]
    fn macros_are_looked_into() {
        assert_eq!(lines("macro_rules! m {\n() => {\nunsafe { b() }\n};\n}"), [3]);
    }

    #[test]
    fn an_unsafe_impl_wants_a_proof() {
        assert_eq!(lines("unsafe impl Send for A {}"), [1]);
        assert!(lines("// SAFETY: A is a number.\nunsafe impl Send for A {}").is_empty());
    }

    #[test]
    fn an_unsafe_fn_or_trait_wants_a_contract() {
        assert_eq!(lines("unsafe fn a() {}\nunsafe trait B {}"), [1, 2]);
        assert!(lines("/// # Safety\n/// Never.\nunsafe fn a() {}").is_empty());
    }

    #[test]
    fn an_unsafe_fn_of_an_implementation_has_the_traits_contract() {
        assert!(lines("impl A for B { unsafe fn a() {} }").is_empty());
        assert_eq!(lines("impl B { unsafe fn a() {} }"), [1]);
    }

    #[test]
    fn the_type_of_an_unsafe_function_wants_nothing() {
        assert!(lines("type A = unsafe extern \"C\" fn();\ntype B = unsafe fn();").is_empty());
    }
}
