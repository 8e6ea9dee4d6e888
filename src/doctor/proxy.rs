//! The check of the HTTP proxies that lead to the registry: which is used, and what it answers.

use std::io;
use std::time::Instant;

use serde_json::json;

use super::background::Background;
use super::report::{Check, Finding};
use crate::config::Config;
use crate::config::url::Url;
use crate::runtime::signaling::{ProxyAnswer, Settings, ask_proxy};

/// The questions to the proxies, with what each is asked for.
pub(super) struct Questions(Vec<(Url, Background<Option<ProxyAnswer>>)>);

/// Begins to ask. Asks for nothing if no proxy is set.
///
/// # Errors
/// The system gives no thread.
pub(super) fn begin(config: &Config, settings: &Settings) -> io::Result<Questions> {
    let mut questions = Vec::new();
    if config.proxies.are_set() {
        for url in [&config.token_url, &config.signaling_url] {
            let (settings, asked) = (settings.clone(), url.clone());
            let answer = Background::start(move || ask_proxy(&settings, &asked))?;
            questions.push((url.clone(), answer));
        }
    }
    Ok(Questions(questions))
}

impl Questions {
    /// Returns the findings.
    pub(super) fn report(&self, deadline: Instant) -> Vec<Finding> {
        let findings = self.0.iter().map(|(url, answer)| {
            let finding = match answer.wait(deadline) {
                None => Finding::fail(Check::Proxy, "no answer in time"),
                Some(None) => Finding::ok(Check::Proxy, "reached without a proxy"),
                Some(Some(answer)) => describe(&answer),
            };
            finding.about(url)
        });
        findings.collect()
    }
}

fn describe(answer: &ProxyAnswer) -> Finding {
    let ProxyAnswer {
        proxy, variable, ..
    } = answer;
    let place = format!("through {proxy} ({variable})");
    let details = |said: &str| json!({"proxy": proxy, "variable": variable, "answer": said});
    match &answer.said {
        Ok(said) => Finding::ok(Check::Proxy, format!("{place}, which answered {said:?}"))
            .details(details(said)),
        Err(why) => Finding::fail(Check::Proxy, format!("{place}: {why}"))
            .advice("is the proxy right, and does it let us through?")
            .details(details(why)),
    }
}
