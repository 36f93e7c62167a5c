//! What was done, told on the page that comes next. A code stands in its address, never a sentence.

const SENTENCES: [(&str, &str); 38] = [
    ("invoice", "The draft is saved."),
    ("finalized", "The invoice is finalized: it is owed from now on."),
    ("voided", "The invoice is void."),
    ("given-up", "The invoice is uncollectible."),
    ("link-revoked", "The portal link is revoked."),
    ("customer", "The customer is saved."),
    ("payment", "The payment is recorded."),
    ("applied", "The payment is applied."),
    ("taken-back", "The allocation is taken back."),
    ("undone", "That is taken back: here is the payment again."),
    ("invited", "The invitation is sent."),
    ("role", "The role is changed."),
    ("removed", "The member is removed."),
    ("settings", "The settings are saved."),
    ("logo", "Payers see the logo from now on."),
    ("logo-removed", "The logo is removed."),
    ("endpoint", "The endpoint is added."),
    ("rotated", "The secret is rotated."),
    ("enabled", "The endpoint is enabled."),
    ("disabled", "The endpoint is disabled."),
    ("connected", "The Stripe account is connected: payers can pay by card."),
    ("disconnected", "The Stripe account is disconnected: payers cannot pay by card any more."),
    ("source", "The data source is connected."),
    (
        "source-again",
        "The data source is connected again. Webhook events that failed meanwhile can be replayed.",
    ),
    ("source-gone", "The data source is disconnected: Plixo has its credentials no more."),
    ("replayed", "The event is on its way again. Look at it in a few seconds."),
    ("export", "The export is requested: a Controller other than you approves it."),
    ("export-approved", "The export is approved. Its file is there in a moment."),
    ("export-rejected", "The export is rejected."),
    ("privacy-request", "The request is entered. It is done by itself: look at it in a moment."),
    ("privacy-refused", "The request is refused. Tell whoever asked, and why."),
    ("hold", "The hold is placed: from now on nothing of that is deleted or erased."),
    ("hold-released", "The hold is released."),
    ("retention", "The retention policy is saved. What is due under it is deleted within 24 hours."),
    ("closed", "The organisation is closed. It can be reopened for 30 days."),
    ("reopened", "The organisation is reopened."),
    ("password", "Your password is changed."),
    ("totp", "Your second factor is set up."),
];

pub(crate) fn sentence(code: &str) -> Option<&'static str> {
    SENTENCES.into_iter().find(|(own, _)| *own == code).map(|(_, sentence)| sentence)
}
