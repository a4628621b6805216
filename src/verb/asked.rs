//! What a person asks to apply or to plan, read from the command line.

use crate::{
    flow::{Stage, approve::request::Request, bind::Waivers, refuse},
    model::{
        claim::Claim,
        glass::Reason,
        ids::{HostName, ModuleId},
        refusal::Code,
        text::shown,
        time::Timestamp,
    },
    port::Answer,
    verb::apply::Ask,
};

/// What a person asks for, whichever modules it is about.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// On which host; `None`: on each host of the module.
    pub host: Option<HostName>,
    /// By which approval.
    pub request: Request,
    /// `--again`: what is applied, once more.
    pub again: bool,
    /// What is waived.
    pub waivers: Waivers,
    /// `--retry`: a release that failed here may be tried again.
    pub retry: bool,
    /// `--break-glass`: gates are passed, for this reason.
    pub glass: Option<Reason>,
    /// `--during-freeze`: a freeze is passed, for this reason.
    pub during_freeze: Option<Reason>,
}

impl Asked {
    /// The same of one module, on the host that was asked for.
    pub fn of(&self, module: ModuleId) -> Ask {
        self.on(module, self.host.clone())
    }

    /// The same of one module on a host.
    pub fn on(&self, module: ModuleId, host: Option<HostName>) -> Ask {
        Ask {
            module,
            host,
            request: self.request.clone(),
            again: self.again,
            waivers: self.waivers,
            retry: self.retry,
            glass: self.glass.clone(),
            during_freeze: self.during_freeze.clone(),
            auto: false,
            claim: None,
        }
    }

    /// The same for each target: modules, and plan files, which `read` reads. Without targets the pull request decides
    /// which modules.
    ///
    /// # Errors
    /// No approval is named, or a target is neither a module nor a valid plan file, or is named twice.
    pub fn of_all(
        &self,
        targets: &[String],
        now: Timestamp,
        read: impl Fn(&str) -> Answer<Vec<u8>>,
    ) -> Stage<Vec<Ask>> {
        let mut asks: Vec<Ask> = Vec::new();
        for target in targets {
            let claim = match target.contains('/') || target.ends_with(".json") {
                true => Some(Claim::parse(&read(target)?, now)?),
                false => None,
            };
            let module: ModuleId = match (&claim, target.parse()) {
                (Some(claim), _) => claim.intent().module.clone(),
                (None, Ok(module)) => module,
                (None, Err(_)) => {
                    let fact = format!("`{}` is not a module", shown(target));
                    return refuse(Code::Usage, fact, "give a module's id, or a plan file");
                }
            };
            // A plan file is for one host.
            let host = self.host.clone().or_else(|| Some(claim.as_ref()?.intent().host.clone()));
            let same = |ask: &Ask| ask.module == module && (ask.host.is_none() || host.is_none() || ask.host == host);
            if asks.iter().any(same) {
                return refuse(Code::Usage, format!("{module} is named twice"), "name it once");
            }
            asks.push(Ask { claim: claim.map(Box::new), ..self.on(module, host) });
        }
        if self.request == Request::default() && !self.again {
            return refuse(
                Code::Usage,
                "which approval? neither --pr, --approved nor --again is given",
                "platformctl pending names the pull requests to apply",
            );
        }
        Ok(asks)
    }
}
