//! What is to be done about one alarm now: a pure decision.

use super::standing::Standing;
use crate::model::{
    alarm::{Alarm, AlarmStep},
    message::News,
    notify::ChannelKind,
    time::Timestamp,
};

/// How long a runner may take between the claim of an alarm and the record of what became of it. A claim that is older
/// is taken over: its runner was killed, and nobody knows whether people were told.
pub(super) const LEASE_S: i64 = 120;
/// After how long a channel that did not take an alarm is tried again.
pub(super) const RETRY_S: i64 = 900;
/// How often people are reminded of what lasts.
pub(super) const REMIND_S: i64 = 86_400;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// Nothing.
    Nothing,
    /// These channels are told that it is there.
    Tell(News, Vec<ChannelKind>),
    /// These channels are told that it is over.
    TellOver(Vec<ChannelKind>),
    /// It is over, and nobody has to be told.
    Drop,
}

/// Decides by what stands now, by what the record has of it, by the channels of the policy, and by the time, which is not
/// before that of the newest record.
pub(super) fn act(standing: Option<&Standing>, alarm: Option<&Alarm>, channels: &[ChannelKind], now: Timestamp) -> Act {
    let older = |since: Timestamp, seconds| now >= since.plus_s(seconds);
    let raise = || Act::Tell(News::Raised, channels.to_vec());
    match (standing, alarm) {
        (None, None) => Act::Nothing,
        (Some(_), None) => raise(),
        // Another release or another pull request: what was told before is not about it.
        (Some(standing), Some(alarm)) if standing.about != alarm.about => raise(),
        (Some(_), Some(alarm)) => match alarm.step {
            AlarmStep::Telling | AlarmStep::Ending if !older(alarm.at, LEASE_S) => Act::Nothing,
            AlarmStep::Telling if alarm.told.is_some() => Act::Tell(News::Lasts, channels.to_vec()),
            AlarmStep::Telling | AlarmStep::Ending | AlarmStep::Ended => raise(),
            AlarmStep::Told => {
                let missing: Vec<_> =
                    channels.iter().copied().filter(|channel| !alarm.delivered.contains(channel)).collect();
                if alarm.told.is_some_and(|told| older(told, REMIND_S)) {
                    Act::Tell(News::Lasts, channels.to_vec())
                } else if !missing.is_empty() && older(alarm.at, RETRY_S) {
                    Act::Tell(News::Raised, missing)
                } else {
                    Act::Nothing
                }
            }
        },
        (None, Some(alarm)) => {
            let claimed = matches!(alarm.step, AlarmStep::Telling | AlarmStep::Ending);
            let heard: Vec<_> = channels.iter().copied().filter(|channel| alarm.delivered.contains(channel)).collect();
            if claimed && !older(alarm.at, LEASE_S) {
                Act::Nothing
            } else if heard.is_empty() {
                Act::Drop
            } else {
                Act::TellOver(heard)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{alarm::Condition, digest::Digest};

    const NTFY: ChannelKind = ChannelKind::Ntfy;
    const HOOK: ChannelKind = ChannelKind::Webhook;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_s(1_790_000_000 + seconds)
    }

    fn standing() -> Standing {
        Standing {
            deployment: "site@box".parse().unwrap(),
            condition: Condition::Held,
            about: Digest::of(b"one"),
            pr: Some(1),
            since: at(0),
            text: String::new(),
            fix: String::new(),
        }
    }

    fn alarm(step: AlarmStep, delivered: &[ChannelKind]) -> Alarm {
        let told = (!delivered.is_empty()).then(|| at(0));
        Alarm {
            about: Digest::of(b"one"),
            pr: Some(1),
            since: at(0),
            step,
            at: at(0),
            seq: 7,
            told,
            delivered: delivered.to_vec(),
        }
    }

    #[test]
    fn alarm_is_told_once_a_day_while_it_lasts() {
        let told = |step, delivered: &[ChannelKind], after| {
            act(Some(&standing()), Some(&alarm(step, delivered)), &[NTFY, HOOK], at(after))
        };
        let raise = Act::Tell(News::Raised, vec![NTFY, HOOK]);
        let remind = Act::Tell(News::Lasts, vec![NTFY, HOOK]);
        assert_eq!(act(Some(&standing()), None, &[NTFY, HOOK], at(0)), raise);
        assert_eq!(told(AlarmStep::Told, &[NTFY, HOOK], REMIND_S - 1), Act::Nothing);
        assert_eq!(told(AlarmStep::Told, &[NTFY, HOOK], REMIND_S), remind);
        // A channel that did not take it is tried again, and only that one.
        assert_eq!(told(AlarmStep::Told, &[NTFY], RETRY_S - 1), Act::Nothing);
        assert_eq!(told(AlarmStep::Told, &[NTFY], RETRY_S), Act::Tell(News::Raised, vec![HOOK]));
        assert_eq!(told(AlarmStep::Told, &[], RETRY_S), raise);
        // What another one is telling is left to it, for two minutes.
        for step in [AlarmStep::Telling, AlarmStep::Ending] {
            assert_eq!(told(step, &[], LEASE_S - 1), Act::Nothing);
            assert_eq!(told(step, &[], LEASE_S), raise);
        }
        assert_eq!(told(AlarmStep::Telling, &[NTFY], LEASE_S), remind);
        // Another release is another alarm at once, whoever tells of the first one.
        let other = Standing { about: Digest::of(b"two"), ..standing() };
        assert_eq!(act(Some(&other), Some(&alarm(AlarmStep::Telling, &[])), &[NTFY, HOOK], at(1)), raise);
    }

    #[test]
    fn recovery_is_told_where_the_alarm_was_delivered() {
        let over =
            |step, delivered: &[ChannelKind], after| act(None, Some(&alarm(step, delivered)), &[NTFY], at(after));
        assert_eq!(over(AlarmStep::Told, &[NTFY, HOOK], 1), Act::TellOver(vec![NTFY]));
        assert_eq!(over(AlarmStep::Told, &[], 1), Act::Drop);
        assert_eq!(over(AlarmStep::Told, &[HOOK], 1), Act::Drop, "the channel is no longer in the policy");
        assert_eq!(over(AlarmStep::Telling, &[], LEASE_S - 1), Act::Nothing);
        assert_eq!(over(AlarmStep::Telling, &[], LEASE_S), Act::Drop);
        assert_eq!(over(AlarmStep::Ending, &[NTFY], LEASE_S - 1), Act::Nothing);
        assert_eq!(over(AlarmStep::Ending, &[NTFY], LEASE_S), Act::TellOver(vec![NTFY]));
    }
}
