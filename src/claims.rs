//! What a credential grants. Knows neither tokens nor rules.

use crate::ids::{GroupName, Millis, UserName};

/// Who someone is and what they may do, proved by a token or granted by `--dev`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claims {
    /// The user.
    pub user: UserName,
    /// When the session must end, if ever (`exp`).
    pub expires: Option<Millis>,
    /// Groups that may be joined although groups are not open.
    pub groups: Vec<GroupName>,
    /// Whether messages to everyone are allowed.
    pub broadcast: bool,
}
