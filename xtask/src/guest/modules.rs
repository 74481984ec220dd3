//! Kernel modules with what they depend on, from what `depmod` wrote.

use super::cpio::Archive;
use super::kernel::Kernel;
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What `modules.dep`, `modules.softdep` and `modules.builtin` say.
#[derive(Debug)]
pub(crate) struct Modules {
    /// The line of `modules.dep` of each module, by its name.
    lines: BTreeMap<String, String>,
    /// Modules that a module wants beside it.
    soft: BTreeMap<String, Vec<String>>,
    builtin: BTreeSet<String>,
}

impl Modules {
    pub(crate) fn of(kernel: &Kernel) -> Result<Self> {
        let read = |name: &str| {
            let path = kernel.modules().join(name);
            std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))
        };
        Ok(Self::parse(&read("modules.dep")?, &read("modules.softdep")?, &read("modules.builtin")?))
    }

    fn parse(dep: &str, softdep: &str, builtin: &str) -> Self {
        let lines =
            dep.lines().filter_map(|line| Some((name(line.split_once(':')?.0), line.into())));
        let soft = softdep.lines().filter_map(|line| {
            let mut words = line.strip_prefix("softdep ")?.split_whitespace();
            let module = normal(words.next()?);
            Some((module, words.filter(|word| !word.ends_with(':')).map(normal).collect()))
        });
        Self {
            lines: lines.collect(),
            soft: soft.collect(),
            builtin: builtin.lines().map(name).collect(),
        }
    }

    /// Packs `wanted` and all that they need, so that `modprobe` finds them in the guest.
    pub(crate) fn pack(
        &self,
        wanted: &[String],
        kernel: &Kernel,
        into: &mut Archive,
    ) -> Result<()> {
        let folder = format!("usr/lib/modules/{}", kernel.version());
        let needed = self.closure(wanted)?;
        for module in &needed {
            let file = self.lines[module].split(':').next().unwrap_or_default();
            let content = read_module(&kernel.modules().join(file))?;
            into.file(&format!("{folder}/{file}"), 0o644, &content);
        }
        let dep: String = needed.iter().map(|module| self.line_with_soft(module) + "\n").collect();
        into.file(&format!("{folder}/modules.dep"), 0o644, dep.as_bytes());
        into.file(&format!("{folder}/modules.alias"), 0o644, b"");
        into.file(&format!("{folder}/modules.symbols"), 0o644, b"");
        Ok(())
    }

    /// Busybox knows nothing of soft dependencies, so those of what a module needs become hard
    /// ones of the module. It loads a line from its end to its beginning.
    fn line_with_soft(&self, module: &str) -> String {
        let (file, hard) = self.lines[module].split_once(':').unwrap_or_default();
        let mut files: Vec<&str> = hard.split_whitespace().collect();
        for path in hard.split_whitespace() {
            let soft = self.soft.get(&name(path)).into_iter().flatten();
            let lines = soft.filter(|soft| *soft != module).filter_map(|soft| self.lines.get(soft));
            for (soft, its) in lines.filter_map(|line| line.split_once(':')) {
                let its: Vec<&str> = its.split_whitespace().collect();
                if !files.contains(&soft) && !its.contains(&file) {
                    files.insert(0, soft);
                    files.extend(its.into_iter().filter(|path| !hard.contains(path)));
                }
            }
        }
        format!("{file}: {}", files.join(" "))
    }

    /// The modules and all that they need, without those built into the kernel.
    fn closure(&self, wanted: &[String]) -> Result<BTreeSet<String>> {
        let mut needed = BTreeSet::new();
        let mut open: Vec<String> = wanted.iter().map(|module| normal(module)).collect();
        while let Some(module) = open.pop() {
            if self.builtin.contains(&module) || needed.contains(&module) {
                continue;
            }
            let line = self.lines.get(&module);
            let line = line.with_context(|| format!("the kernel has no module {module}"))?;
            let (_, hard) = line.split_once(':').unwrap_or_default();
            open.extend(hard.split_whitespace().map(name));
            let soft = self.soft.get(&module).into_iter().flatten();
            open.extend(soft.filter(|name| self.lines.contains_key(*name)).cloned());
            needed.insert(module);
        }
        Ok(needed)
    }
}

/// The kernel makes no difference between the dash and the underscore.
fn normal(module: &str) -> String {
    module.replace('-', "_")
}

/// The module's name, of its file's path.
fn name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    normal(file.split(".ko").next().unwrap_or(file))
}

fn read_module(path: &Path) -> Result<Vec<u8>> {
    ensure!(
        path.extension().is_some_and(|end| end == "ko"),
        "{} is compressed, which the guest's modprobe does not read",
        path.display()
    );
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules() -> Modules {
        let dep = "kernel/vfio/vfio.ko:\n\
                   kernel/vfio/pci/vfio-pci.ko: kernel/vfio/vfio.ko kernel/lib/irqbypass.ko\n\
                   kernel/lib/irqbypass.ko:\nkernel/vfio/vfio_iommu_type1.ko: kernel/vfio/vfio.ko\n";
        let soft =
            "# Soft dependencies\nsoftdep vfio post: vfio_iommu_type1 vfio_iommu_spapr_tce\n";
        Modules::parse(dep, soft, "kernel/net/unix/unix.ko\n")
    }

    #[test]
    fn dependencies_of_both_kinds_come_along() {
        let needed = modules().closure(&["vfio-pci".into(), "unix".into()]).unwrap();
        let needed: Vec<&str> = needed.iter().map(String::as_str).collect();
        assert_eq!(needed, ["irqbypass", "vfio", "vfio_iommu_type1", "vfio_pci"]);
    }

    #[test]
    fn soft_dependencies_are_loaded_before_a_module_and_after_what_they_need() {
        let line = modules().line_with_soft("vfio_pci");
        let files: Vec<&str> = line.split_whitespace().collect();
        let at = |file: &str| files.iter().position(|path| path.ends_with(file)).unwrap();
        assert!(at("vfio_iommu_type1.ko") < at("vfio/vfio.ko"), "{line}");
        assert_eq!(modules().line_with_soft("vfio_iommu_type1").matches("type1").count(), 1);
    }

    #[test]
    fn an_unknown_module_is_an_error_that_names_it() {
        let error = modules().closure(&["warp_drive".into()]).unwrap_err();
        assert!(error.to_string().contains("warp_drive"));
    }
}
