//! The rows of a comparison, as a table or as JSON.

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

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
    pub(super) bar: &'static str,
    /// Whether it is.
    pub(super) ok: bool,
}

impl Row {
    pub(super) fn new(
        area: &str,
        peer_name: &str,
        case: &str,
        unit: &str,
        ours: Option<f64>,
        peer: Option<f64>,
    ) -> Self {
        let ratio = ours.zip(peer).map(|(ours, peer)| ours / peer);
        let (bar, ok) = bar(case, unit, ratio.unwrap_or(f64::NAN));
        let [area, case, unit, peer_name] = [area, case, unit, peer_name].map(str::to_owned);
        Self { area, case, unit, ours, peer, peer_name, ratio, bar, ok }
    }
}

/// A cost shall be no more than the peer's, a rate no less. No ratio at all is not ok. One producer
/// and one consumer on two cores share nothing but the ring, and shall do better than that.
fn bar(case: &str, unit: &str, ratio: f64) -> (&'static str, bool) {
    if case.starts_with("spsc two-core") {
        return ("<=0.8", ratio <= 0.8);
    }
    if unit.starts_with("cycles") { ("<=1.0", ratio <= 1.0) } else { (">=1.0", ratio >= 1.0) }
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
        row.bar.to_owned(),
        if row.ok { "ok" } else { "MISSED" }.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(unit: &str, ours: f64, peer: f64) -> Row {
        Row::new("ring", "rte_ring", "a", unit, Some(ours), Some(peer))
    }

    #[test]
    fn a_cost_is_held_when_it_is_not_higher() {
        assert!(row("cycles/element", 1.0, 1.0).ok);
        assert!(!row("cycles/element", 1.1, 1.0).ok);
    }

    #[test]
    fn a_ring_between_two_threads_is_to_do_better() {
        let row = |ours| {
            Row::new("ring", "", "spsc two-core bulk 8", "cycles/element", Some(ours), Some(1.0))
        };
        assert!(row(0.8).ok);
        assert!(!row(0.9).ok);
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
