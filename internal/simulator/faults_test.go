package simulator

import (
	"errors"
	"net/http"
	"testing"
	"time"
)

func TestFaultsHitWhatTheyAreMeantFor(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	ada, grace := o.events(t, "Ada")+"/"+b.ID, o.events(t, "Grace")+"/"+b.Copies[email("Grace")]
	o.AddFault(Fault{Operation: "get_event", Mailbox: email("Ada"), Status: 503, Times: 2})
	o.graph(t, 200, http.MethodGet, grace, nil)
	o.graph(t, 200, http.MethodGet, o.events(t, "Ada"), nil)
	for _, status := range []int{503, 503, 200} {
		o.graph(t, status, http.MethodGet, ada, nil)
	}
	// By either id of the event.
	id := o.AddFault(Fault{Event: b.DefaultID, Status: 500, Code: "Own", Message: "mine"})
	if got := o.graph(t, 500, http.MethodGet, ada, nil); code(got) != "Own" {
		t.Errorf("code %s", code(got))
	}
	if f := o.Faults(); len(f) != 1 || f[0].Hits != 1 {
		t.Errorf("faults %+v", f)
	}
	o.RemoveFault(id)
	o.graph(t, 200, http.MethodGet, ada, nil)
	o.AddFault(Fault{Tenant: "another", Status: 500})
	o.graph(t, 200, http.MethodGet, ada, nil)
	o.AddFault(Fault{Status: 504})
	o.graph(t, 504, http.MethodGet, "/users/"+email("Ada"), nil)
	o.login(t) // Faults of all calls spare the login.
	o.RemoveFault(0)
	o.graph(t, 200, http.MethodGet, ada, nil)
}

func TestThrottlingHasItsHeader(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	o.AddFault(Fault{Operation: "get_user", Status: 429, RetryAfter: "2.128", Times: 1})
	resp, err := o.client.Do(o.request(t, http.MethodGet, "/users/"+email("Ada"), nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "2.128" {
		t.Errorf("%d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
}

func TestLostAndCutAnswers(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	d := newDoor(t)
	for fault, alive := range map[Fault]int{{Operation: "create_subscription", Cut: true, Times: 1}: 0, {Operation: "create_subscription", Lost: true, Times: 1}: 1} {
		for _, sub := range o.Subscriptions() {
			if err := o.RemoveSubscription(sub.ID, false); err != nil {
				t.Fatal(err)
			}
		}
		o.AddFault(fault)
		resp, err := o.client.Do(o.request(t, http.MethodPost, "/subscriptions", o.wish(t, d, nil)))
		if err == nil {
			_ = resp.Body.Close()
			t.Errorf("%+v: an answer came: %d", fault, resp.StatusCode)
		}
		if n := len(o.Subscriptions()); n != alive {
			t.Errorf("%+v: %d subscriptions, want %d", fault, n, alive)
		}
	}
}

func TestLatencyOfAFaultEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	o.AddFault(Fault{Operation: "get_user", Latency: Duration{time.Hour}, Times: 1})
	client := &http.Client{Transport: o.client.Transport, Timeout: 100 * time.Millisecond}
	resp, err := client.Do(o.request(t, http.MethodGet, "/users/"+email("Ada"), nil))
	if err == nil {
		_ = resp.Body.Close()
		t.Error("an answer came")
	}
	o.graph(t, 200, http.MethodGet, "/users/"+email("Ada"), nil)
}

func TestLoginFaults(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	o.AddFault(Fault{Operation: opToken, Status: 503, RetryAfter: "1", Times: 1})
	status, body := o.form(t, contoso, nil)
	if status != 503 || body["error"] != "temporarily_unavailable" {
		t.Errorf("%d %v", status, body)
	}
	o.login(t)
}

func TestStaleReads(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	path := o.events(t, "Ada") + "/" + b.ID
	before := o.graph(t, 200, http.MethodGet, path, nil)
	o.SetBehaviour(Behaviour{StaleReads: Duration{time.Hour}})
	if err := o.Move(b.ID, monday().Add(time.Hour), monday().Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	stale := o.graph(t, 200, http.MethodGet, path, nil)
	if stale["changeKey"] != before["changeKey"] || text(t, stale, "start", "dateTime") != text(t, before, "start", "dateTime") {
		t.Errorf("a stale reading shows %v", stale)
	}
	if err := o.Cancel(b.ID); err != nil {
		t.Fatal(err)
	}
	o.graph(t, 200, http.MethodGet, path, nil)
	o.SetBehaviour(Behaviour{})
	o.graph(t, 404, http.MethodGet, path, nil)
}

func TestLateReadable(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{Behaviour: Behaviour{LateReadable: Duration{time.Hour}}})
	b := o.pair(t)
	path := o.events(t, "Ada")
	o.graph(t, 404, http.MethodGet, path+"/"+b.ID, nil)
	if got := o.graph(t, 200, http.MethodGet, path, nil)["value"].([]any); len(got) != 0 {
		t.Errorf("listed %v", got)
	}
	o.SetBehaviour(Behaviour{})
	o.graph(t, 200, http.MethodGet, path+"/"+b.ID, nil)
	if o.Reads(b.ID) != 2 {
		t.Errorf("%d reads, want 2: the refused one counts", o.Reads(b.ID))
	}
}

func TestActionsThatOutlookRefuses(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	at := monday()
	refused := map[string]error{
		"moving backwards":            o.Move(b.ID, at, at.Add(-time.Hour)),
		"moving nothing":              o.Move("nope", at, at.Add(time.Hour)),
		"answering one's own":         o.Accept(email("Ada"), b.ID),
		"answering as a stranger":     o.Accept(email("Alan"), b.ID),
		"answering as nobody":         o.Accept("nobody", b.ID),
		"an unknown answer":           o.Respond(email("Grace"), b.ID, Response{Answer: "perhaps"}),
		"proposing backwards":         o.Propose(email("Grace"), b.ID, at, at.Add(-time.Hour)),
		"restoring what is not gone":  o.Restore(email("Ada"), b.ID),
		"an unknown lifecycle event":  o.SendLifecycle("nope", "nope"),
		"removing no subscription":    o.RemoveSubscription("nope", false),
		"booking for nobody":          second(o.Book(Meeting{Organizer: "nobody", Start: at, End: at.Add(time.Hour)})),
		"booking backwards":           second(o.Book(Meeting{Organizer: email("Ada"), Start: at, End: at})),
		"booking in an unknown zone":  second(o.Book(Meeting{Organizer: email("Ada"), Start: at, End: at.Add(time.Hour), TimeZone: "Moon"})),
		"repeating in an unknown way": second(o.Book(Meeting{Organizer: email("Ada"), Start: at, End: at.Add(time.Hour), Repeat: "never"})),
		"an unknown kind of mailbox":  o.SetMailbox(email("Ada"), "odd"),
		"a mailbox of nobody":         o.SetMailbox("nobody", MailboxOK),
		"a person without an address": second(o.AddUser(User{Tenant: contoso, Name: "X", Email: "x"})),
		"a person of no organisation": second(o.AddUser(User{Tenant: "nope", Name: "X", Email: "x@y"})),
		"an address that is taken":    second(o.AddUser(User{Tenant: contoso, ID: "new", Name: "X", Email: email("Ada")})),
	}
	for name, err := range refused {
		if err == nil {
			t.Errorf("%s went through", name)
		}
	}
	if err := o.Move("nope", at, at.Add(time.Hour)); !errors.Is(err, errNotFound) {
		t.Errorf("an unknown event is %v", err)
	}
}

func second[T any](_ T, err error) error { return err }
