//! The teller: claims an alarm in the record, sends its message, and records what became of it.

use super::{
    note,
    standing::{Standing, about_run},
    what::{Done, What},
    words,
};
use crate::{
    ledger::{event::Kind, fault::Checked},
    model::{
        alarm::{Alarm, AlarmStep, Condition, Telling},
        forge::ForgeUrl,
        ids::{Deployment, Oid},
        message::{About, Links, Message, News},
        notify::ChannelKind,
        policy::{ApprovalSource, Policy},
        text::hex,
        time::Timestamp,
    },
    port::{Answer, Ports},
    record::{Record, append::Append},
    verb::{fetch::record, notices::Notice},
};

/// How long a command may spend on telling people before it leaves the rest to the next one, in milliseconds.
const BUDGET_MS: u64 = 12_000;

/// Tells people what it is given, by the channels of a policy.
pub(super) struct Teller<'a> {
    pub ports: &'a Ports<'a>,
    pub policy: &'a Policy,
    /// Now, and not before the newest record: what was recorded by a clock that is ahead is not younger than nothing.
    pub now: Timestamp,
    genesis: Option<Oid>,
    comment: Option<(u64, &'a str)>,
    forge: Option<ForgeUrl>,
    begun_ms: u64,
    /// Whether the remote did not take a step: it is not asked again by this command.
    unrecordable: bool,
    notices: Vec<Notice>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(ports: &'a Ports<'a>, policy: &'a Policy, comment: Option<(u64, &'a str)>) -> Self {
        let approval = &policy.approval;
        let forge = match (&approval.forge, approval.source) {
            (Some(forge), _) => Some(forge.clone()),
            (None, ApprovalSource::Forgejo) if !ports.offline => {
                (ports.forge)(approval).ok().map(|forge| forge.url().clone())
            }
            (None, ApprovalSource::Forgejo | ApprovalSource::Git) => None,
        };
        let (now, begun_ms) = (ports.clock.now(), ports.clock.ticks_ms());
        Self { ports, policy, now, genesis: None, comment, forge, begun_ms, unrecordable: false, notices: Vec::new() }
    }

    /// The newest record.
    pub(super) fn knows(&mut self, newest: &Checked) {
        self.now = self.now.max(newest.event.time);
        self.genesis = Some(newest.genesis);
    }

    pub(super) fn warn(&mut self, words: String) {
        let notice = Notice::Words(words);
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    pub(super) fn has_time(&self) -> bool {
        self.ports.clock.ticks_ms().saturating_sub(self.begun_ms) < BUDGET_MS
    }

    /// What people could not be told.
    pub(super) fn done(self) -> Vec<Notice> {
        self.notices
    }

    /// A step that follows an alarm, about the same.
    fn answering(&self, condition: Condition, alarm: &Alarm, step: AlarmStep) -> Telling {
        let Alarm { about, pr, since, seq, .. } = *alarm;
        Telling { condition, about, pr, since, step, after: Some(seq), nonce: self.nonce(), delivered: Vec::new() }
    }

    fn nonce(&self) -> String {
        hex(&self.ports.clock.chance())
    }

    fn record(&self) -> Record<'a> {
        record(self.ports, self.policy)
    }

    /// A message about a deployment.
    pub(super) fn message(&self, what: &What<'_>, title: &str, text: &str) -> Message {
        let links = match (&self.forge, what.pr) {
            (Some(forge), Some(pr)) => {
                let comment = self.comment.filter(|(of, _)| *of == pr).map(|(_, url)| url);
                Links::of(forge, pr, comment)
            }
            (Some(_) | None, _) => Links::default(),
        };
        let about = About {
            news: what.news,
            condition: what.condition,
            genesis: self.genesis,
            deployment: what.deployment,
            pr: what.pr,
            which: what.which,
            since: what.since,
            at: self.now,
        };
        Message::new(&about, title, text, links)
    }

    /// Sends a message by these channels of the policy; returns those that took it, sorted.
    pub(super) fn send(&mut self, kinds: &[ChannelKind], message: &Message) -> Vec<ChannelKind> {
        let mut delivered = Vec::new();
        for channel in self.policy.notify.channels() {
            if !kinds.contains(&channel.kind()) {
                continue;
            }
            match self.ports.notify.send(channel, message) {
                Ok(()) => delivered.push(channel.kind()),
                Err(error) => self.warn(error.to_string()),
            }
        }
        delivered.sort_unstable();
        delivered
    }

    /// All channels of the policy.
    pub(super) fn channels(&self) -> Vec<ChannelKind> {
        self.policy.notify.channels().iter().map(|channel| channel.kind()).collect()
    }

    /// Tells an alarm, if no other runner does.
    pub(super) fn alarm(
        &mut self,
        standing: &Standing,
        before: Option<&Alarm>,
        news: News,
        kinds: &[ChannelKind],
    ) -> Answer<()> {
        let Standing { deployment, condition, about, pr, since, .. } = standing;
        let claim = Telling {
            condition: *condition,
            about: *about,
            pr: *pr,
            since: (*since).min(self.now),
            step: AlarmStep::Telling,
            after: before.map(|alarm| alarm.seq),
            nonce: self.nonce(),
            delivered: Vec::new(),
        };
        let what = What {
            news,
            condition: Some(*condition),
            deployment: Some(deployment),
            pr: *pr,
            which: *about,
            since: *since,
        };
        let title = words::of(*condition, news, deployment, *pr);
        let message = self.message(&what, &title, &words::stands(standing, news));
        if self.unrecordable {
            return self.once(&what, &message);
        }
        match self.append(deployment, &claim) {
            Ok(Some(seq)) => {
                let delivered = self.send(kinds, &message);
                self.answer(deployment, Telling { step: AlarmStep::Told, after: Some(seq), delivered, ..claim });
                Ok(())
            }
            // Another runner tells it.
            Ok(None) => Ok(()),
            // Told twice is better than not at all; this clone tells it once.
            Err(error) => {
                self.unrecordable = true;
                self.warn(format!("what people are told could not be recorded, so they may be told again: {error}"));
                self.once(&what, &message)
            }
        }
    }

    /// Tells by all channels what the record cannot have, at most once a day from this clone.
    pub(super) fn once(&mut self, what: &What<'_>, message: &Message) -> Answer<()> {
        let (ports, now, kinds) = (self.ports, self.now, self.channels());
        note::once(ports, now, what, || self.send(&kinds, message))
    }

    /// Tells those who were told of an alarm that it is over.
    pub(super) fn over(
        &mut self,
        deployment: &Deployment,
        condition: Condition,
        alarm: &Alarm,
        text: &str,
        kinds: &[ChannelKind],
    ) -> Answer<()> {
        let Some(seq) = self.append(deployment, &self.answering(condition, alarm, AlarmStep::Ending))? else {
            return Ok(());
        };
        let (pr, which, since) = (alarm.pr, alarm.about, alarm.since);
        let what =
            What { news: News::Over, condition: Some(condition), deployment: Some(deployment), pr, which, since };
        let message = self.message(&what, &words::of(condition, News::Over, deployment, pr), text);
        let delivered = self.send(kinds, &message);
        let end = Telling { after: Some(seq), delivered, ..self.answering(condition, alarm, AlarmStep::Ended) };
        self.answer(deployment, end);
        Ok(())
    }

    /// Records that an alarm is over of which nobody has to be told that.
    pub(super) fn drop(&mut self, deployment: &Deployment, condition: Condition, alarm: &Alarm) -> Answer<()> {
        self.append(deployment, &self.answering(condition, alarm, AlarmStep::Ended)).map(|_| ())
    }

    /// Tells that a change ended well.
    pub(super) fn applied(&mut self, done: &Done) {
        let (title, text) = words::applied(done);
        let what = What {
            news: News::Applied,
            condition: None,
            deployment: Some(&done.deployment),
            pr: Some(done.pr),
            which: about_run(&done.run),
            since: self.now,
        };
        let message = self.message(&what, &title, &text);
        self.send(&self.channels(), &message);
    }

    /// Records a step; `None` if another runner was there first.
    fn append(&self, deployment: &Deployment, step: &Telling) -> Answer<Option<u64>> {
        let record = self.record();
        let mut event = record.draft(Kind::Observe)?;
        (event.module, event.host) = (Some(deployment.module.clone()), Some(deployment.host.clone()));
        event.alarm = Some(step.clone());
        Ok(match record.append(&event, None)? {
            Append::Done(done) => Some(done.seq),
            Append::Moved(_) => None,
        })
    }

    /// Records what became of a claim. A claim that was taken over meanwhile is answered by who did that.
    fn answer(&mut self, deployment: &Deployment, step: Telling) {
        if let Err(error) = self.append(deployment, &step) {
            self.warn(format!("what people were told could not be recorded, so they may be told again: {error}"));
        }
    }
}
