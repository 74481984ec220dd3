//! Rules as text: one a line, `ITEMS -> ACTIONS`. The grammar is in the project's `docs/rules.md`.
//!
//! ```
//! let rules = linecard_flow_classify::rules::text::parse("
//!     ## What comes first wins.
//!     ipv4 src 192.0.2.0/24 udp dport 53 -> drop
//!     tcp dport 443,8000-8999 -> mark 7
//! ")?;
//! assert_eq!((rules.len(), rules[0].line), (3, 3));
//! # Ok::<(), linecard_flow_classify::rules::text::TextError>(())
//! ```

mod items;
mod values;
mod words;

use linecard_net::rss::RssTypes;
use linecard_net::rule::{Action, Pattern, QueueIndex, RssAction, Rule, RuleError};
use words::Words;

/// A rule with the line that it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRule {
    /// The line, from 1.
    pub line: usize,
    /// What it says, without comment.
    pub text: String,
    /// The rule. Its priority is its place among all rules, unless the line gives one.
    pub rule: Rule,
}

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {fault}")]
pub struct TextError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A word that cannot stand there.
    #[error("`{found}`: wanted {wanted}")]
    Word {
        /// The word.
        found: String,
        /// What can.
        wanted: String,
    },
    /// The line ends where something more must stand.
    #[error("the line ends: wanted {wanted}")]
    End {
        /// What must.
        wanted: String,
    },
    /// The rule makes no sense.
    #[error(transparent)]
    Rule(#[from] RuleError),
}

/// All rules of a text; a line whose ports are a list makes a rule for each of them.
///
/// # Errors
/// The first line that is wrong, and what was expected in it.
pub fn parse(text: &str) -> Result<Vec<TextRule>, TextError> {
    let mut rules = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line_rules = parse_line(line, rules.len()).map_err(|(column, fault)| TextError {
            line: at + 1,
            column,
            fault,
        })?;
        let text = line.split('#').next().unwrap_or_default().trim();
        let named = |rule| TextRule { line: at + 1, text: text.to_owned(), rule };
        rules.extend(line_rules.into_iter().map(named));
    }
    Ok(rules)
}

/// A fault and its column.
type Faulty = (usize, Fault);

fn parse_line(line: &str, place: usize) -> Result<Vec<Rule>, Faulty> {
    let mut words = Words::new(line);
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let mut rule = Rule { priority: place as u32, ..Rule::default() };
    while let Some(head) = words.take_one_of(&["priority", "group"]) {
        let number = words.value::<u32>("a number")?;
        if head == "group" { rule.group = number } else { rule.priority = number }
    }
    let start = words.column();
    let patterns = items::patterns(&mut words)?;
    words.expect("->")?;
    rule.actions = actions(&mut words)?;
    let rules = patterns.into_iter().map(|items| {
        let rule = Rule { pattern: Pattern { items }, ..rule.clone() };
        rule.validate().map_err(|error| (start, error.into()))?;
        Ok(rule)
    });
    rules.collect()
}

const ACTIONS: &[&str] = &["drop", "pass", "queue", "port", "rss", "jump", "mark", "count"];

fn actions(words: &mut Words<'_>) -> Result<Vec<Action>, Faulty> {
    let mut actions = Vec::new();
    loop {
        let Some(name) = words.take_one_of(ACTIONS) else {
            return Err(words.wrong(&format!("an action: {}", ACTIONS.join(", "))));
        };
        actions.push(match name {
            "drop" => Action::Drop,
            "pass" => Action::PassThrough,
            "queue" => Action::Queue(QueueIndex(words.value("a queue, from 0")?)),
            "port" => Action::Port(words.value("a port, from 0")?),
            "rss" => Action::Rss(rss(words)?),
            "jump" => Action::Jump(words.value("a group of a higher number")?),
            "mark" => Action::Mark(words.value("a number")?),
            _ => Action::Count,
        });
        if words.is_empty() {
            break;
        }
        words.expect(",")?;
    }
    if !actions.iter().any(Action::is_fate) {
        actions.push(Action::PassThrough);
    }
    Ok(actions)
}

fn rss(words: &mut Words<'_>) -> Result<RssAction, Faulty> {
    let mut queues = vec![QueueIndex(words.value("queues, from 0")?)];
    while words.is_number() {
        queues.push(QueueIndex(words.value("a queue")?));
    }
    Ok(RssAction { queues, types: RssTypes::all(), key: None })
}

#[cfg(test)]
mod tests;
