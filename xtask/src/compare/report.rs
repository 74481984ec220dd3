//! The rows of a comparison, as a table or as JSON.

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde::{Serialize, Serializer};
use std::fmt;

/// One case, both sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) area: String,
    pub(super) case: String,
    pub(super) unit: String,
    pub(super) ours: Option<f64>,
    pub(super) peer: Option<f64>,
    pub(super) peer_name: String,
    /// Ours by the peer's.
    pub(super) ratio: Option<f64>,
    /// What the ratio shall be.
    pub(super) bar: Bar,
    /// Whether it is.
    pub(super) ok: bool,
}

/// What a ratio shall be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bar {
    AtMost(f64),
    AtLeast(f64),
}

impl Bar {
    /// A cost shall be no more than the peer's, a rate no less.
    pub(super) fn level(unit: &str) -> Self {
        let is_cost = unit.starts_with("cycles") || unit.starts_with("instructions");
        if is_cost { Self::AtMost(1.0) } else { Self::AtLeast(1.0) }
    }

    fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(bar) => ratio <= bar,
            Self::AtLeast(bar) => ratio >= bar,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bar) => write!(f, "<={bar:?}"),
            Self::AtLeast(bar) => write!(f, ">={bar:?}"),
        }
    }
}

impl Serialize for Bar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Row {
    /// `figures` are ours and the peer's. No ratio at all is not ok.
    pub(super) fn new(
        area: &str,
        peer_name: &str,
        case: &str,
        unit: &str,
        bar: Bar,
        [ours, peer]: [Option<f64>; 2],
    ) -> Self {
        let ratio = ours.zip(peer).map(|(ours, peer)| ours / peer);
        let ok = ratio.is_some_and(|ratio| bar.holds(ratio));
        let [area, case, unit, peer_name] = [area, case, unit, peer_name].map(str::to_owned);
        Self { area, case, unit, ours, peer, peer_name, ratio, bar, ok }
    }
}

pub(super) fn print_json(rows: &[Row]) -> Result<()> {
    for row in rows {
        println!("{}", serde_json::to_string(row)?);
    }
    Ok(())
}

pub(super) fn print_table(rows: &[Row]) {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["area", "case", "unit", "ours", "peer", "peer's name", "ratio", "bar", ""]);
    for row in rows {
        table.add_row(cells(row));
    }
    for column in [3, 4, 6] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}");
}

fn cells(row: &Row) -> [String; 9] {
    let number =
        |value: Option<f64>| value.map_or("missing".to_owned(), |value| format!("{value:.2}"));
    [
        row.area.clone(),
        row.case.clone(),
        row.unit.clone(),
        number(row.ours),
        number(row.peer),
        row.peer_name.clone(),
        row.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}")),
        row.bar.to_string(),
        if row.ok { "ok" } else { "MISSED" }.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(unit: &str, ours: f64, peer: f64) -> Row {
        Row::new("ring", "rte_ring", "a", unit, Bar::level(unit), [Some(ours), Some(peer)])
    }

    #[test]
    fn a_cost_is_held_when_it_is_not_higher() {
        assert!(row("cycles/element", 1.0, 1.0).ok);
        assert!(!row("cycles/element", 1.1, 1.0).ok);
    }

    #[test]
    fn a_rate_is_held_when_it_is_not_lower() {
        assert!(row("Mpps", 80.0, 74.0).ok);
        assert!(!row("Mpps", 70.0, 74.0).ok);
    }

    #[test]
    fn a_row_is_one_json_object() {
        let json = serde_json::to_string(&row("cycles/element", 1.0, 2.0)).unwrap();
        let expected = concat!(
            r#"{"area":"ring","case":"a","unit":"cycles/element","ours":1.0,"peer":2.0,"#,
            r#""peer_name":"rte_ring","ratio":0.5,"bar":"<=1.0","ok":true}"#
        );
        assert_eq!(json, expected);
    }
}
