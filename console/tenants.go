package console

import (
	"errors"
	"fmt"
	"net/http"

	"pairsync/model"
)

// tenantOf is the tenant in the path, if the principal may know of it. It needn't exist.
func tenantOf(r *http.Request, who principal) (string, error) {
	given := r.PathValue("tenant")
	tenant, ok := canonicalTenant(given)
	if ok && who.sees(tenant) {
		return tenant, nil
	}
	if !ok && who.tenant == "" && r.Method == http.MethodPut {
		return "", invalid("tenant", "(in the path) must be an Entra tenant id, or any 1 to %d letters, digits, dots, dashes and underscores", maxTenant)
	}
	return "", notFound("tenant", shorten(given))
}

// existingTenant is like tenantOf for a tenant that must exist.
func (c *Console) existingTenant(r *http.Request, who principal) (model.Tenant, error) {
	id, err := tenantOf(r, who)
	if err != nil {
		return model.Tenant{}, err
	}
	tenant, err := c.store.Tenant(r.Context(), id)
	if errors.Is(err, model.ErrNotFound) {
		return model.Tenant{}, notFound("tenant", r.PathValue("tenant"))
	}
	if err != nil {
		return model.Tenant{}, fmt.Errorf("reading the tenant: %w", err)
	}
	return tenant, nil
}

func (c *Console) getTenant(w http.ResponseWriter, r *http.Request, who principal) error {
	tenant, err := c.existingTenant(r, who)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, tenant)
}

func (c *Console) putTenant(w http.ResponseWriter, r *http.Request, who principal) error {
	id, err := tenantOf(r, who)
	if err != nil {
		return err
	}
	body, err := c.readObject(w, r, "name", "owner_email", "method", "callback_url", "policy")
	if err != nil {
		return err
	}
	tenant := model.Tenant{
		ID:          id,
		Name:        body.text("name", "what people call the organisation", maxName),
		OwnerEmail:  body.email("owner_email", "the address of whoever looks after the integration"),
		Method:      model.Method(body.method()),
		CallbackURL: body.optionalText("callback_url", "an http or https URL", maxURL),
		Policy:      body.policy(),
	}
	if tenant.CallbackURL != "" && !validCallback(tenant.CallbackURL) {
		body.fail("callback_url", "must be an absolute https URL without user name and fragment")
	}
	if err := body.err(); err != nil {
		return err
	}
	stored, isNew, err := c.store.PutTenant(r.Context(), tenant)
	if err != nil {
		return fmt.Errorf("storing the tenant: %w", err)
	}
	secret, err := c.firstCallbackSecret(r.Context(), stored)
	if err != nil {
		return err
	}
	answer, err := withCallbackSecret(stored, secret)
	if err != nil {
		return err
	}
	return writeJSON(w, created(isNew), answer)
}

// method reads how the tenant is connected; it is required.
func (o *object) method() string {
	choices := []string{string(model.MethodDomainWide), string(model.MethodPerUser)}
	if _, ok := o.need("method", "domain_wide or per_user"); !ok {
		return ""
	}
	return o.oneOf("method", "", choices...)
}

// policy reads what happens to changes that people make in Outlook; what is left out is applied.
func (o *object) policy() model.Policy {
	policy := model.Policy{Reschedule: model.PolicyApply, Cancel: model.PolicyApply}
	given := o.inside("policy", "reschedule", "cancel")
	if given == nil {
		return policy
	}
	choice := func(name string) model.PolicyChoice {
		return model.PolicyChoice(given.oneOf(name, string(model.PolicyApply), string(model.PolicyApply), string(model.PolicyAsk), string(model.PolicyNotify)))
	}
	return model.Policy{Reschedule: choice("reschedule"), Cancel: choice("cancel")}
}

// email is a required bare e-mail address.
func (o *object) email(name, what string) string {
	s := o.text(name, what, maxEmail)
	if o.err() == nil && !validEmail(s) {
		o.fail(o.path+name, "must be one e-mail address such as ada@contoso.example, without a display name")
	}
	return s
}
