//! Provision (MS-ASPROV): the two-step exchange that hands over a policy, and the order to wipe.

use super::body::{BodyError, once, status, walk};
use super::provision_doc::ProvisionDoc;
use super::{DeviceInformation, PolicyKey};
use crate::logic::wbxml::{Content, Limits, Step, Writer, provision as tags, settings};

/// A request. All `None`: the empty `Provision` that asks whether to wipe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProvisionRequest {
    /// The device describes itself; required from 14.1.
    pub device_information: Option<DeviceInformation>,
    /// Asks for a policy (no key) or acknowledges one (key and status).
    pub policy: Option<PolicyRequest>,
    /// Acknowledges a wipe order: 1 done, 2 failed.
    pub remote_wipe: Option<u16>,
    /// Acknowledges an order to delete the account only: 1 done, 2 failed.
    pub account_only_remote_wipe: Option<u16>,
}

/// The `Policy` element of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRequest {
    /// Which kind of policy.
    pub policy_type: PolicyType,
    /// The key of the policy acknowledged. A text that is no key reads as 0, which is never given out.
    pub policy_key: Option<PolicyKey>,
    /// 1 applied, 2 partially, 3 not, 4 managed by someone else.
    pub status: Option<u16>,
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProvisionAnswer {
    /// Of the device information, if the request had some.
    pub device_information: Option<u16>,
    /// 1 is success; common statuses from 101.
    pub status: u16,
    /// The policy, or word of it.
    pub policy: Option<PolicyAnswer>,
    /// Order: erase the device.
    pub remote_wipe: bool,
    /// Order: delete this account.
    pub account_only_remote_wipe: bool,
}

/// The `Policy` element of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyAnswer {
    /// Which kind of policy.
    pub policy_type: PolicyType,
    /// 1 here it is, 2 there is none, 3 unknown type, 4 damaged, 5 wrong key acknowledged.
    pub status: u16,
    /// The temporary key with the policy, the final one after the acknowledgement.
    pub policy_key: Option<PolicyKey>,
    /// The policy; not in the answer to an acknowledgement.
    pub data: Option<PolicyData>,
}

/// The ways to write a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyType {
    /// `MS-EAS-Provisioning-WBXML`, from 12.0.
    Wbxml,
    /// `MS-WAP-Provisioning-XML`, 2.5.
    WapXml,
    /// Anything else.
    Other(String),
}

/// A policy, written in one of the ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyData {
    /// Settings as elements.
    Document(ProvisionDoc),
    /// Settings as a text in XML.
    WapXml(String),
}

impl PolicyType {
    /// The protocol's spelling.
    pub fn name(&self) -> &str {
        match self {
            PolicyType::Wbxml => "MS-EAS-Provisioning-WBXML",
            PolicyType::WapXml => "MS-WAP-Provisioning-XML",
            PolicyType::Other(name) => name,
        }
    }

    fn read(content: Content<'_>) -> Result<Self, BodyError> {
        match content.text().ok_or(BodyError::Syntax("PolicyType is not text"))? {
            "MS-EAS-Provisioning-WBXML" => Ok(PolicyType::Wbxml),
            "MS-WAP-Provisioning-XML" => Ok(PolicyType::WapXml),
            other => Ok(PolicyType::Other(other.to_owned())),
        }
    }
}

/// The fields of a `Policy` element of either direction.
#[derive(Default)]
struct PolicyFields {
    policy_type: Option<PolicyType>,
    policy_key: Option<PolicyKey>,
    status: Option<u16>,
    data: Option<PolicyData>,
}

impl PolicyFields {
    /// Takes a step below `Provision/Policies/Policy`.
    fn take(&mut self, step: Step<'_>) -> Result<(), BodyError> {
        use tags::{DATA, EAS_PROVISION_DOC, POLICY_KEY, POLICY_TYPE, STATUS};
        match step {
            Step::Close([_, _, _, POLICY_TYPE], content) => {
                once(&mut self.policy_type, PolicyType::read(content)?, "PolicyType is there twice")
            }
            Step::Close([_, _, _, POLICY_KEY], content) => {
                let key = content.text().and_then(PolicyKey::from_text).unwrap_or(PolicyKey(0));
                once(&mut self.policy_key, key, "PolicyKey is there twice")
            }
            Step::Close([_, _, _, STATUS], content) => once(&mut self.status, status(content)?, "a Policy has two Statuses"),
            Step::Open([_, _, _, DATA, EAS_PROVISION_DOC]) => {
                once(&mut self.data, PolicyData::Document(ProvisionDoc::default()), "a Policy has two documents")
            }
            Step::Close([_, _, _, DATA, EAS_PROVISION_DOC, inside @ ..], content) => match &mut self.data {
                Some(PolicyData::Document(document)) => document.take(inside, content),
                _ => Ok(()),
            },
            Step::Close([_, _, _, DATA], content) if !content.is_empty() => {
                let text = content.text().ok_or(BodyError::Syntax("Data is too long or not text"))?;
                once(&mut self.data, PolicyData::WapXml(text.to_owned()), "a Policy has two documents")
            }
            _ => Ok(()),
        }
    }
}

/// The policy, if this step is below it; a second `Policy` is an error.
fn in_policy(policy: &mut Option<PolicyFields>, step: Step<'_>) -> Result<(), BodyError> {
    use tags::{POLICIES, POLICY};
    match step {
        Step::Open([_, POLICIES, POLICY]) => once(policy, PolicyFields::default(), "more than one Policy"),
        Step::Open([_, POLICIES, POLICY, ..]) | Step::Close([_, POLICIES, POLICY, _, ..], _) => match policy {
            Some(fields) => fields.take(step),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

impl ProvisionRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        use settings::{DEVICE_INFORMATION, SET};
        use tags::{ACCOUNT_ONLY_REMOTE_WIPE, PROVISION, REMOTE_WIPE, STATUS};
        let (mut request, mut policy) = (ProvisionRequest::default(), None);
        walk(body, PROVISION, Limits::STRICT, |step| match step {
            Step::Open([PROVISION, DEVICE_INFORMATION]) => {
                once(&mut request.device_information, DeviceInformation::default(), "DeviceInformation is there twice")
            }
            Step::Close([PROVISION, DEVICE_INFORMATION, SET, field], content) => {
                request.device_information.get_or_insert_default().take(*field, content);
                Ok(())
            }
            Step::Close([PROVISION, REMOTE_WIPE, STATUS], content) => once(&mut request.remote_wipe, status(content)?, "two wipe Statuses"),
            Step::Close([PROVISION, ACCOUNT_ONLY_REMOTE_WIPE, STATUS], content) => {
                once(&mut request.account_only_remote_wipe, status(content)?, "two wipe Statuses")
            }
            other => in_policy(&mut policy, other),
        })?;
        if let Some(PolicyFields { policy_type, policy_key, status, .. }) = policy {
            let policy_type = policy_type.ok_or(BodyError::Syntax("PolicyType is missing"))?;
            request.policy = Some(PolicyRequest { policy_type, policy_key, status });
        }
        Ok(request)
    }

    /// Writes the body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.start(tags::PROVISION);
        if let Some(information) = &self.device_information {
            information.write(&mut writer);
        }
        if let Some(policy) = &self.policy {
            writer.start(tags::POLICIES).start(tags::POLICY).text(tags::POLICY_TYPE, policy.policy_type.name());
            if let Some(key) = policy.policy_key {
                writer.number(tags::POLICY_KEY, key.0);
            }
            if let Some(status) = policy.status {
                writer.number(tags::STATUS, status);
            }
            writer.end().end();
        }
        for (tag, status) in [(tags::REMOTE_WIPE, self.remote_wipe), (tags::ACCOUNT_ONLY_REMOTE_WIPE, self.account_only_remote_wipe)] {
            if let Some(status) = status {
                writer.start(tag).number(tags::STATUS, status).end();
            }
        }
        writer.end();
        writer.finish()
    }
}

impl ProvisionAnswer {
    /// Reads a body.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        use tags::{ACCOUNT_ONLY_REMOTE_WIPE, PROVISION, REMOTE_WIPE, STATUS};
        let (mut answer, mut overall, mut policy) = (ProvisionAnswer::default(), None, None);
        walk(body, PROVISION, Limits::LENIENT, |step| match step {
            Step::Close([PROVISION, STATUS], content) => once(&mut overall, status(content)?, "Status is there twice"),
            Step::Close([PROVISION, settings::DEVICE_INFORMATION, settings::STATUS], content) => {
                once(&mut answer.device_information, status(content)?, "DeviceInformation is there twice")
            }
            Step::Open([PROVISION, REMOTE_WIPE]) => {
                answer.remote_wipe = true;
                Ok(())
            }
            Step::Open([PROVISION, ACCOUNT_ONLY_REMOTE_WIPE]) => {
                answer.account_only_remote_wipe = true;
                Ok(())
            }
            other => in_policy(&mut policy, other),
        })?;
        answer.status = overall.ok_or(BodyError::Syntax("the answer has no Status"))?;
        if let Some(PolicyFields { policy_type, policy_key, status, data }) = policy {
            let policy_type = policy_type.ok_or(BodyError::Syntax("PolicyType is missing"))?;
            let status = status.ok_or(BodyError::Syntax("a Policy has no Status"))?;
            answer.policy = Some(PolicyAnswer { policy_type, status, policy_key, data });
        }
        Ok(answer)
    }

    /// Writes the body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.start(tags::PROVISION);
        if let Some(status) = self.device_information {
            writer.start(settings::DEVICE_INFORMATION).number(settings::STATUS, status).end();
        }
        writer.number(tags::STATUS, self.status);
        if let Some(policy) = &self.policy {
            writer.start(tags::POLICIES);
            policy.write(&mut writer);
            writer.end();
        }
        for (tag, ordered) in [(tags::REMOTE_WIPE, self.remote_wipe), (tags::ACCOUNT_ONLY_REMOTE_WIPE, self.account_only_remote_wipe)] {
            if ordered {
                writer.empty(tag);
            }
        }
        writer.end();
        writer.finish()
    }
}

impl PolicyAnswer {
    fn write(&self, writer: &mut Writer) {
        writer.start(tags::POLICY).text(tags::POLICY_TYPE, self.policy_type.name()).number(tags::STATUS, self.status);
        if let Some(key) = self.policy_key {
            writer.number(tags::POLICY_KEY, key.0);
        }
        match &self.data {
            None => {}
            Some(PolicyData::WapXml(text)) => {
                writer.text(tags::DATA, text);
            }
            Some(PolicyData::Document(document)) => {
                writer.start(tags::DATA);
                document.write(writer);
                writer.end();
            }
        }
        writer.end();
    }
}
