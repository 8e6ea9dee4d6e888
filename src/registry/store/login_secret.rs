//! The secret of logins to the relay, where the owner has given none: it outlives the process, so that a
//! sidecar's login does, too. Without I/O.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::table::{Row, Table, Texts};
use crate::registry::unix_time::UnixTime;
use crate::secret::Secret;

/// The only row.
const NAME: &str = "relay";

#[derive(Clone, Serialize, Deserialize)]
struct Named {
    name: String,
    secret: String,
}

impl Row for Named {
    fn key(&self) -> &str {
        &self.name
    }

    fn time(&self) -> UnixTime {
        UnixTime::default()
    }
}

/// The secret, once there is one.
#[derive(Default, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::registry) struct LoginSecret {
    secrets: Table<Named>,
}

impl LoginSecret {
    /// Returns it.
    pub(super) fn get(&self) -> Option<Secret> {
        let row = self.secrets.get(NAME)?;
        Some(Secret::new(row.secret.clone()))
    }

    /// Sets it.
    pub(super) fn set(&mut self, secret: String) {
        self.secrets.put(Named {
            name: NAME.to_owned(),
            secret,
        });
    }

    /// Returns it as it is kept elsewhere.
    pub(super) fn table(&mut self) -> &mut dyn Texts {
        &mut self.secrets
    }
}

impl fmt::Debug for LoginSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginSecret(..)")
    }
}
