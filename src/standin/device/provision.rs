//! Provisioning: a device asks for the policy, says that it applies it, and shows the key from then on.

use super::{Device, DeviceError, ok};
use crate::logic::eas::provision::{PolicyRequest, PolicyType, ProvisionAnswer, ProvisionRequest};
use crate::logic::eas::{Command, DeviceInformation, PolicyKey, Version};

impl Device {
    /// Both phases. Without a policy for this user there is no key, and none is needed.
    ///
    /// # Errors
    /// See [`DeviceError`]. An order to wipe is one: there is nothing to wipe here.
    pub async fn provision(&mut self) -> Result<(), DeviceError> {
        let policy_type = if self.version < Version::V12_0 { PolicyType::WapXml } else { PolicyType::Wbxml };
        self.policy_key = Some(0);
        let first = PolicyRequest { policy_type: policy_type.clone(), policy_key: None, status: None };
        let information = DeviceInformation { model: Some("pushgate stand-in".into()), ..DeviceInformation::default() };
        let information = (self.version >= Version::V14_1).then_some(information);
        let Some(temporary) = self.provision_once(first, information).await? else {
            self.policy_key = None;
            return Ok(());
        };
        self.policy_key = Some(temporary.0);
        let second = PolicyRequest { policy_type, policy_key: Some(temporary), status: Some(1) };
        let last = self.provision_once(second, None).await?;
        self.policy_key = Some(last.unwrap_or(temporary).0);
        Ok(())
    }

    /// The key that the answer brings; `None`: there is no policy.
    async fn provision_once(
        &mut self,
        policy: PolicyRequest,
        device_information: Option<DeviceInformation>,
    ) -> Result<Option<PolicyKey>, DeviceError> {
        let request = ProvisionRequest { device_information, policy: Some(policy), ..ProvisionRequest::default() };
        let answer = ok(self.command(Command::Provision, request.encode()).await?)?;
        let answer = ProvisionAnswer::parse(&answer.body).map_err(|_| DeviceError::Malformed("a Provision answer that is none"))?;
        if answer.remote_wipe || answer.account_only_remote_wipe {
            return Err(DeviceError::Malformed("an order to wipe"));
        }
        if answer.status != 1 {
            return Err(DeviceError::Status(Command::Provision, answer.status.into()));
        }
        match answer.policy {
            Some(policy) if policy.status == 1 => policy.policy_key.map(Some).ok_or(DeviceError::Malformed("a policy without a key")),
            Some(policy) if policy.status != 2 => Err(DeviceError::Status(Command::Provision, policy.status.into())),
            _ => Ok(None),
        }
    }
}
