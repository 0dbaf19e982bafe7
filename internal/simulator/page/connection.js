// How the organisation and the person stand to applications, and the buttons that change it.

const consents = {
  granted: "An administrator has consented. The application works in all mailboxes.",
  missing: "No administrator has consented. The application is not in this organisation.",
  withdrawn: "The consent was withdrawn. The application is in this organisation but may do nothing.",
};
const signIns = {
  ok: "Nothing is in the way of signing in.",
  revoked: "Sign-in was revoked. Applications have to ask for it again.",
  inactive: "Sign-in ended because it was not used. Applications have to ask for it again.",
  too_old: "Sign-in ended because it was too old. Applications have to ask for it again.",
  mfa_required: "A second factor is wanted. Applications have to ask for sign-in again.",
  consent_withdrawn: "Consent was withdrawn. Applications have to ask for it again.",
  blocked: "Sign-in is blocked by a conditional access policy.",
  disabled: "The account is disabled.",
};
const standings = { ...signIns, ok: "good", revoked: "revoked", inactive: "expired", too_old: "expired", mfa_required: "wants a second factor", consent_withdrawn: "consent withdrawn", blocked: "blocked", disabled: "account disabled" };
const kinds = {
  ok: "works",
  access_denied: "outside the access policy",
  not_enabled: "not enabled for REST",
  unlicensed: "without a licence",
  on_premises: "on-premises",
  not_supported: "of a type that is not served",
  no_mailbox: "none at all",
  moving: "being moved",
  full: "full",
  deleted: "of a deleted user",
};

// drawConnection shows both. The tools are the page's own: el makes elements, api calls the simulator, change does and refreshes.
export function drawConnection({ el, change }, tenant, person, sessions) {
  const button = (label, path, body, done) => {
    const b = el("button", { type: "button", textContent: label });
    b.dataset.key = `connection-${label}`;
    b.addEventListener("click", () => change("PUT", path, body, done));
    return b;
  };
  const parts = [];
  if (tenant) {
    const consent = (label, value, done) =>
      tenant.consent === value ? null : button(label, `/tenants/${encodeURIComponent(tenant.id)}/consent`, { consent: value }, done);
    parts.push(
      el("h3", {}, tenant.name || tenant.domain),
      el("p", { id: "consent", className: tenant.consent }, consents[tenant.consent]),
      el(
        "div",
        { className: "buttons" },
        consent("Consent as an administrator", "granted", "The administrator has consented."),
        consent("Revoke consent", "withdrawn", "The consent is withdrawn."),
        consent("Remove the application", "missing", "The application is removed from the organisation."),
      ),
    );
  }
  if (person) parts.push(...personal(el, button, change, person, sessions));
  return parts;
}

function personal(el, button, change, person, sessions) {
  const path = `/users/${encodeURIComponent(person.id)}`;
  const signIn = (label, value, done) => (person.sign_in === value ? null : button(label, `${path}/sign-in`, { sign_in: value }, done));
  const mailbox = el("select", {}, ...Object.entries(kinds).map(([value, label]) => el("option", { value, textContent: label })));
  mailbox.value = person.kind;
  mailbox.dataset.key = "connection-kind";
  mailbox.addEventListener("change", () => change("PUT", `${path}/mailbox`, { kind: mailbox.value }, `The mailbox of ${person.name}: ${kinds[mailbox.value]}.`));
  const held = person.sign_in === "blocked" || person.sign_in === "disabled";
  return [
    el("h3", {}, person.name || person.email),
    el("p", {}, el("label", {}, "Mailbox ", mailbox)),
    el("p", { id: "sign-in" }, signIns[person.sign_in]),
    ...sessions.map((s) =>
      el("p", { className: "quiet" }, `Signed in to ${s.app}, ${new Date(s.began_at).toLocaleString()}, last used ${new Date(s.used_at).toLocaleTimeString()}: ${standings[s.standing]}.`),
    ),
    el(
      "div",
      { className: "buttons" },
      signIn("Revoke sign-in", "revoked", "Every sign-in is revoked."),
      signIn("Withdraw own consent", "consent_withdrawn", "The person's own consent is withdrawn."),
      signIn("Want a second factor", "mfa_required", "A second factor is wanted from now on."),
      signIn("Disable account", "disabled", "The account is disabled."),
      held ? button("Allow sign-in", `${path}/sign-in`, { sign_in: "ok" }, "Sign-in is allowed again.") : null,
    ),
  ];
}
