//! What a device does about policies: two steps, and what it is told to erase.

use super::{Device, DeviceError, ok};
use crate::logic::eas::provision::{PolicyData, PolicyRequest, PolicyType, ProvisionAnswer, ProvisionRequest};
use crate::logic::eas::{Command, DeviceInformation, Version};

/// How a device takes its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obeys {
    /// All of it (Status 1).
    InFull,
    /// Some of it (2).
    InPart,
    /// Not at all (3).
    NotAtAll,
}

/// What came of provisioning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provisioned {
    /// It has a policy, and the key that says so.
    Policy(PolicyData),
    /// There is none to have (Policy/Status 2).
    NoPolicy,
    /// It was told to erase itself.
    Wipe,
    /// It was told to erase this account.
    WipeAccount,
    /// The server said no, with this Status.
    Refused(u16),
}

impl Device {
    /// Fetches the policy, as every good device does. Without a policy for this user there is no key, and none is needed.
    ///
    /// # Errors
    /// See [`DeviceError`]; Statuses too. An order to erase is one: there is nothing to erase here.
    pub async fn provision(&mut self) -> Result<(), DeviceError> {
        match self.fetch_policy(Obeys::InFull).await? {
            Provisioned::Policy(_) => Ok(()),
            Provisioned::NoPolicy => {
                self.policy_key = None;
                Ok(())
            }
            Provisioned::Wipe | Provisioned::WipeAccount => Err(DeviceError::Malformed("an order to wipe")),
            Provisioned::Refused(status) => Err(DeviceError::Status(Command::Provision, status.into())),
        }
    }

    /// One Provision. Statuses are in the answer.
    ///
    /// # Errors
    /// See [`DeviceError`]; all HTTP statuses but 200 are one.
    pub async fn ask_provision(&mut self, request: &ProvisionRequest) -> Result<ProvisionAnswer, DeviceError> {
        let answer = ok(self.command(Command::Provision, request.encode()).await?)?;
        ProvisionAnswer::parse(&answer.body).map_err(|_| DeviceError::Malformed("a Provision answer that is none"))
    }

    /// Asks for the policy, acknowledges it and keeps the key. An order to erase is left to the caller to acknowledge.
    ///
    /// # Errors
    /// See [`DeviceError`]; Statuses of the answers are in the result.
    pub async fn fetch_policy(&mut self, obeys: Obeys) -> Result<Provisioned, DeviceError> {
        self.policy_key = Some(0);
        let describes = self.version >= Version::V14_1;
        let request = ProvisionRequest {
            device_information: describes.then(|| self.information()),
            policy: Some(PolicyRequest { policy_type: self.policy_type(), policy_key: None, status: None }),
            ..ProvisionRequest::default()
        };
        let answer = self.ask_provision(&request).await?;
        if answer.remote_wipe {
            return Ok(Provisioned::Wipe);
        }
        if answer.account_only_remote_wipe {
            return Ok(Provisioned::WipeAccount);
        }
        let Some(policy) = answer.policy.filter(|_| answer.status == 1) else { return Ok(Provisioned::Refused(answer.status)) };
        let (key, data) = match (policy.status, policy.policy_key, policy.data) {
            (1, Some(key), Some(data)) => (key, data),
            (2, ..) => return Ok(Provisioned::NoPolicy),
            (status, ..) => return Ok(Provisioned::Refused(status)),
        };
        self.policy_key = Some(key.0);
        let status = match obeys {
            Obeys::InFull => 1,
            Obeys::InPart => 2,
            Obeys::NotAtAll => 3,
        };
        let policy = PolicyRequest { policy_type: self.policy_type(), policy_key: Some(key), status: Some(status) };
        let answer = self.ask_provision(&ProvisionRequest { policy: Some(policy), ..ProvisionRequest::default() }).await?;
        let Some(policy) = answer.policy.filter(|_| answer.status == 1) else { return Ok(Provisioned::Refused(answer.status)) };
        match (policy.status, policy.policy_key) {
            (1, Some(key)) => {
                self.policy_key = Some(key.0);
                Ok(Provisioned::Policy(data))
            }
            (status, _) => Ok(Provisioned::Refused(status)),
        }
    }

    /// Acknowledges an order to erase: the device, or only the account.
    ///
    /// # Errors
    /// See [`DeviceError`].
    pub async fn acknowledge_wipe(&mut self, is_account_only: bool, status: u16) -> Result<ProvisionAnswer, DeviceError> {
        let (whole, account) = if is_account_only { (None, Some(status)) } else { (Some(status), None) };
        self.ask_provision(&ProvisionRequest { remote_wipe: whole, account_only_remote_wipe: account, ..ProvisionRequest::default() }).await
    }

    /// How it describes itself.
    pub fn information(&self) -> DeviceInformation {
        DeviceInformation {
            model: Some("Stand-in".into()),
            imei: Some("004999010640000".into()),
            friendly_name: Some(format!("{}'s phone", self.user())),
            os: Some("Stand-in OS 1.0".into()),
            user_agent: Some(self.options.user_agent.clone()),
            ..DeviceInformation::default()
        }
    }

    fn policy_type(&self) -> PolicyType {
        if self.version < Version::V12_0 { PolicyType::WapXml } else { PolicyType::Wbxml }
    }
}
