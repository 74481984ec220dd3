//! Every `.rs` file of a package is compiled: it is a target, or a `mod` leads to it.
//!
//! Packages that are not members of the workspace (fuzz targets, say) are left alone.

use super::Finding;
use super::source::Source;
use crate::workspace::{Package, Workspace};
use proc_macro2::TokenTree;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::{Attribute, Item, ItemMod, Meta};

pub(super) fn check(workspace: &Workspace, files: &[PathBuf], sources: &[Source]) -> Vec<Finding> {
    let members: BTreeSet<_> =
        workspace.packages.iter().map(|package| package.manifest_path.clone()).collect();
    let is_manifest = |path: &&PathBuf| path.ends_with("Cargo.toml");
    let is_foreign = |path: &&PathBuf| {
        let whole = workspace.root.join(path);
        !members.contains(&whole) && **path != Path::new("Cargo.toml")
    };
    let foreign: Vec<_> =
        files.iter().filter(is_manifest).filter(is_foreign).map(|path| folder(path)).collect();
    let ours = sources
        .iter()
        .filter(|source| !foreign.iter().any(|folder| source.path.starts_with(folder)));
    let by_path = ours.map(|source| (source.path.clone(), &source.file)).collect();
    let roots = workspace.packages.iter().flat_map(|package| roots(&workspace.root, package));
    orphans(roots, &by_path)
}

fn roots<'a>(root: &'a Path, package: &'a Package) -> impl Iterator<Item = PathBuf> + 'a {
    let targets = package.targets.iter();
    targets.filter_map(move |target| target.src_path.strip_prefix(root).ok().map(Path::to_owned))
}

fn orphans(
    roots: impl Iterator<Item = PathBuf>,
    files: &BTreeMap<PathBuf, &syn::File>,
) -> Vec<Finding> {
    let mut reached = BTreeSet::new();
    for path in roots {
        let folder = folder(&path).to_owned();
        reach(path, &folder, files, &mut reached);
    }
    let left = files.keys().filter(|path| !reached.contains(*path));
    left.map(|path| Finding::new(path, 1, "orphan", "no `mod` leads here: it is never compiled"))
        .collect()
}

/// Marks `path` and all that its modules lead to; `children` is where its modules' files are.
fn reach(
    path: PathBuf,
    children: &Path,
    files: &BTreeMap<PathBuf, &syn::File>,
    reached: &mut BTreeSet<PathBuf>,
) {
    let Some(file) = files.get(&path) else { return };
    let here = folder(&path).to_owned();
    if reached.insert(path) {
        reach_items(&file.items, &here, children, files, reached);
    }
}

fn reach_items(
    items: &[Item],
    here: &Path,
    children: &Path,
    files: &BTreeMap<PathBuf, &syn::File>,
    reached: &mut BTreeSet<PathBuf>,
) {
    for item in items {
        let Item::Mod(module) = item else { continue };
        let name = module.ident.to_string();
        match &module.content {
            Some((_, inner)) => {
                let deeper = children.join(name.trim_start_matches("r#"));
                reach_items(inner, &deeper, &deeper, files, reached);
            }
            None => {
                for (path, below) in candidates(module, here, children) {
                    reach(path, &below, files, reached);
                }
            }
        }
    }
}

/// The files that `mod name;` may mean, each with the folder of its own modules.
fn candidates(module: &ItemMod, here: &Path, children: &Path) -> Vec<(PathBuf, PathBuf)> {
    let given = module.attrs.iter().filter_map(given_path);
    let mut found: Vec<_> = given
        .map(|path| here.join(path))
        .map(|path| (path.clone(), folder(&path).to_owned()))
        .collect();
    let name = module.ident.to_string();
    let name = name.trim_start_matches("r#");
    found.push((children.join(format!("{name}.rs")), children.join(name)));
    found.push((children.join(name).join("mod.rs"), children.join(name)));
    found
}

/// From `#[path = "…"]` or `#[cfg_attr(…, path = "…")]`.
fn given_path(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => string(&pair.value),
        Meta::List(list) if list.path.is_ident("cfg_attr") => {
            let tokens: Vec<_> = list.tokens.clone().into_iter().collect();
            let at = tokens
                .iter()
                .position(|token| matches!(token, TokenTree::Ident(i) if i == "path"))?;
            let literal: syn::LitStr = syn::parse_str(&tokens.get(at + 2)?.to_string()).ok()?;
            Some(literal.value())
        }
        _ => None,
    }
}

fn string(value: &syn::Expr) -> Option<String> {
    match value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orphaned(files: &[(&str, &str)]) -> Vec<PathBuf> {
        let parsed: Vec<_> = files
            .iter()
            .map(|(path, text)| (PathBuf::from(path), syn::parse_file(text).unwrap()))
            .collect();
        let files = parsed.iter().map(|(path, file)| (path.clone(), file)).collect();
        let found = orphans([PathBuf::from("a/src/lib.rs")].into_iter(), &files);
        found.into_iter().map(|finding| finding.path).collect()
    }

    #[test]
    fn a_file_that_no_module_names_is_an_orphan() {
        let found = orphaned(&[("a/src/lib.rs", "mod b;"), ("a/src/b.rs", ""), ("a/src/c.rs", "")]);
        assert_eq!(found, [PathBuf::from("a/src/c.rs")]);
    }

    #[test]
    fn modules_are_found_in_folders_and_in_modules() {
        let lib = "mod b; mod c { mod d; } mod r#mod;";
        let files = [
            ("a/src/lib.rs", lib),
            ("a/src/b/mod.rs", "mod e;"),
            ("a/src/b/e.rs", "mod f;"),
            ("a/src/b/e/f.rs", ""),
            ("a/src/c/d.rs", ""),
            ("a/src/mod.rs", ""),
        ];
        assert!(orphaned(&files).is_empty(), "{:?}", orphaned(&files));
    }

    #[test]
    fn a_given_path_leads_to_a_file() {
        let lib = "#[path = \"x/y.rs\"] mod b; #[cfg_attr(loom, path = \"z.rs\")] mod c;";
        let files =
            [("a/src/lib.rs", lib), ("a/src/x/y.rs", ""), ("a/src/z.rs", ""), ("a/src/c.rs", "")];
        assert!(orphaned(&files).is_empty());
    }
}
