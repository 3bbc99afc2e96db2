//! What the newest validation of a backup found, in `show`.

use grap::notes::Validated;
use grap_core::recovery::{Judgement, TierVerdict};
use serde_json::{Value, json};

use super::text::second;

pub(super) fn shape(validated: &Validated) -> Value {
    let mut shape = json!(validated.validation);
    super::shapes::merge(&mut shape, json!({ "at": validated.at, "host": validated.host }));
    shape
}

pub(super) fn text(validated: &Validated) -> String {
    let validation = &validated.validation;
    let outcome = if validated.passed() { "passed" } else { "FAILED" };
    let server = validation.server_version.as_deref().unwrap_or("(none)");
    let mut text = format!(
        "validated {outcome} ({}, {} on {}, by Neo4j {server})\n",
        second(validated.at),
        validation.target,
        validated.host
    );
    if let Some(measured) = &validation.measured {
        let (nodes, relationships) = (measured.nodes, measured.relationships);
        text +=
            &format!("          {nodes} nodes, {relationships} relationships, digest {}\n", measured.digest);
    }
    for tier in &validation.tiers {
        text += &tier_text(tier);
    }
    text
}

fn tier_text(judgement: &Judgement) -> String {
    let (word, said) = match &judgement.verdict {
        TierVerdict::Passed { message } => ("passed", message),
        TierVerdict::Failed { message, .. } => ("FAILED", message),
        TierVerdict::Skipped { why } => ("skipped", why),
    };
    let mut text = format!("          {:<12} {word:<7} {said}\n", judgement.tier.name());
    for finding in &judgement.findings {
        text += &format!("          {:<12} {finding}\n", "");
    }
    text
}
