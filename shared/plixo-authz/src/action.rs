use std::fmt;

macro_rules! actions {
    ($($(#[doc = $doc:literal])* $action:ident = $name:literal;)*) => {
        /// What somebody may want to do: one for each row of the contract's table, and seeing one's organisation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $($(#[doc = $doc])* $action,)*
        }

        impl Action {
            /// All of them, in the order of the contract's table.
            pub const ALL: &'static [Self] = &[$(Self::$action),*];

            /// Its name in the schema and the policies.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$action => $name,)*
                }
            }
        }
    };
}

actions! {
    /// See one's own organisation: its name, its banners.
    ReadOrganisation = "read_organisation";
    /// Read invoices, payments, customers.
    ReadLedger = "read_ledger";
    /// Write invoices, customers, portal links, allocations.
    WriteLedger = "write_ledger";
    /// Webhook endpoints and events, data sources.
    ManageIntegrations = "manage_integrations";
    /// Query a data source.
    QueryDataSource = "query_data_source";
    /// Request an export.
    RequestExport = "request_export";
    /// Approve an export: takes [`Resource::Export`](crate::Resource::Export), and is never one's own.
    ApproveExport = "approve_export";
    /// Members and roles, settings.
    ManageOrganisation = "manage_organisation";
    /// Incident contacts.
    ManageIncidentContacts = "manage_incident_contacts";
    /// Audit log, checkpoints.
    ReadAudit = "read_audit";
    /// Retention policy, legal holds, privacy requests.
    ManagePrivacy = "manage_privacy";
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
