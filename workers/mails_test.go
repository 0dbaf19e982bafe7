package workers_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"pairsync/internal/graph"
	"pairsync/internal/testbed"
	"pairsync/model"
)

// fails marks a mailbox and says how.
func (m *manor) fails(tenant, participant string, st model.MailboxStatus, reason string) {
	m.t.Helper()
	if _, err := m.store.MailboxFailed(m.t.Context(), tenant, participant, st, reason, time.Minute, time.Hour); err != nil {
		m.t.Fatal(err)
	}
}

func (m *manor) heals(participant string) {
	m.t.Helper()
	if _, err := m.store.MailboxHealed(m.t.Context(), "t", participant); err != nil {
		m.t.Fatal(err)
	}
}

func (m *manor) stands(tenant string, st model.TenantStatus, reason string) {
	m.t.Helper()
	if _, err := m.store.SetTenantStatus(m.t.Context(), tenant, st, reason); err != nil {
		m.t.Fatal(err)
	}
}

// came blocks until so many letters came and none waits.
func (m *manor) came(p *postOffice, n int) []letter {
	m.t.Helper()
	testbed.Eventually(m.t, fmt.Sprintf("letter %d", n), func(ctx context.Context) bool {
		_, waits, err := m.store.NextMailDue(ctx, 0)
		return err == nil && !waits && len(p.all()) >= n
	})
	all := p.all()
	if len(all) != n {
		m.t.Fatalf("%d letters came, want %d: %+v", len(all), n, all)
	}
	return all
}

func holds(t *testing.T, l letter, words ...string) {
	t.Helper()
	text := strings.Join(strings.Fields(l.text), " ")
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in the letter %q:\n%s", w, l.subject, l.text)
		}
	}
	if text == "" || l.html == "" {
		t.Error("the letter lacks its text or its page")
	}
}

// With two processes, one that ends, and a mailbox that fails again and again, there is one letter when an incident begins and
// one when it is over.
func TestOneLetterPerIncident(t *testing.T) {
	t.Parallel()
	m, office := newManor(t), newPostOffice(t)
	m.post = office.sender(t)
	m.tenant("t", "")
	stop := m.steward()
	m.steward()
	var failing sync.WaitGroup
	for range 8 {
		failing.Go(func() { m.fails("t", "p-1", model.MailboxUnreachable, graph.ReasonMailboxNotEnabled) })
	}
	failing.Wait()
	opened := m.came(office, 1)[0]
	if opened.to != "owner@t.example" || opened.subject != "School of t: a calendar can't be read" {
		t.Errorf("to %s: %s", opened.to, opened.subject)
	}
	holds(t, opened, "participant p-1, since", "the mailbox is not in Exchange Online", "assigns a licence with Exchange Online",
		"Nothing is cancelled", "the owner of the integration of School of t (t)")
	if strings.Contains(opened.text+opened.html, "@") {
		t.Errorf("there is an address in the letter:\n%s", opened.text)
	}
	stop()
	m.steward()
	for range 3 {
		m.fails("t", "p-1", model.MailboxUnreachable, graph.ReasonAccessDenied)
	}
	m.heals("p-1")
	m.heals("p-1")
	recovered := m.came(office, 2)[1]
	if recovered.subject != "School of t: mended: a calendar can't be read" {
		t.Errorf("subject %s", recovered.subject)
	}
	holds(t, recovered, "participant p-1, from", "can be read again", "nothing left for you to do")
	// The next one is another incident.
	m.fails("t", "p-1", model.MailboxNeedsSignIn, graph.ReasonSignInRequired)
	holds(t, m.came(office, 3)[2], "signs in", "/connect")
	// A letter is counted a moment after it came.
	testbed.Eventually(t, "three letters to be counted", func(context.Context) bool { return m.metric("pairsync_mails_total", "result", "sent") == 3 })
}

func TestWhatFailsTogetherIsOneLetter(t *testing.T) {
	t.Parallel()
	m, office := newManor(t), newPostOffice(t)
	m.post = office.sender(t)
	m.tenant("t", "")
	m.tenant("other", "")
	for i := range 40 {
		p := model.Participant{Tenant: "t", ID: fmt.Sprintf("q-%02d", i), Email: fmt.Sprintf("q%d@t.example", i)}
		if _, _, err := m.store.PutParticipant(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 40 {
		reason := graph.ReasonNoMailbox
		if i < 10 {
			reason = graph.ReasonUserNotFound
		}
		m.fails("t", fmt.Sprintf("q-%02d", i), model.MailboxUnreachable, reason)
	}
	m.fails("other", "p-1", model.MailboxUnreachable, graph.ReasonNoMailbox)
	stop, stopOther := m.steward(), m.steward()
	letters := m.came(office, 2)
	digest := letters[0]
	if digest.to != "owner@t.example" {
		digest = letters[1]
	}
	if digest.subject != "School of t: 40 calendars can't be read" {
		t.Errorf("subject %s", digest.subject)
	}
	holds(t, digest, "10 calendars that can't be read", "30 calendars that can't be read", "participant q-09, since", "participant q-34, since",
		"and 5 more", "nobody in the organisation has the participant's address", "the person has no mailbox")
	if strings.Contains(digest.text, "q-35") {
		t.Error("more are named than fit")
	}
	stop()
	stopOther()
	for i := range 40 {
		m.heals(fmt.Sprintf("q-%02d", i))
	}
	m.steward()
	m.steward()
	if l := m.came(office, 3)[2]; l.subject != "School of t: mended: 40 calendars can't be read" {
		t.Errorf("subject %s", l.subject)
	}
}

// What is over before anybody was told is not told.
func TestWhatPassesQuicklyIsNotTold(t *testing.T) {
	t.Parallel()
	m, office := newManor(t), newPostOffice(t)
	m.post, m.cfg.MailGather = office.sender(t), time.Hour
	m.tenant("t", "")
	stop := m.steward()
	m.fails("t", "p-1", model.MailboxUnreachable, graph.ReasonNoMailbox)
	m.heals("p-1")
	m.fails("t", "p-2", model.MailboxUnreachable, graph.ReasonNoMailbox)
	stop()
	m.cfg.MailGather = time.Millisecond
	m.steward()
	l := m.came(office, 1)[0]
	holds(t, l, "participant p-2")
	if strings.Contains(l.text, "p-1") {
		t.Errorf("it was told of what is over:\n%s", l.text)
	}
}

// A whole organisation that fails is one letter, whatever its mailboxes do.
func TestATenantsTroubleIsOneLetter(t *testing.T) {
	t.Parallel()
	m, office := newManor(t), newPostOffice(t)
	m.post = office.sender(t)
	m.tenant("t", "")
	m.stands("t", model.TenantConnected, "")
	m.steward()
	m.stands("t", model.TenantFailing, graph.ReasonConsentMissing)
	m.fails("t", "p-1", model.MailboxUnreachable, graph.ReasonConsentMissing)
	m.fails("t", "p-2", model.MailboxUnreachable, graph.ReasonConsentMissing)
	l := m.came(office, 1)[0]
	if l.subject != "School of t: no access to Microsoft 365" {
		t.Errorf("subject %s", l.subject)
	}
	holds(t, l, "consent to the application is missing or was withdrawn", "/consent makes one", "stand as they were last known")
	m.stands("t", model.TenantConnected, "")
	m.heals("p-1")
	m.heals("p-2")
	holds(t, m.came(office, 2)[1], "has access to the organisation's Microsoft 365 again")
}

func TestAReceiversTroubleIsTold(t *testing.T) {
	t.Parallel()
	m, office, p := newManor(t), newPostOffice(t), newPlatform(t)
	m.post = office.sender(t)
	p.secrets = []string{m.tenant("t", p.server.URL)}
	p.status = down(http.StatusServiceUnavailable)
	m.steward()
	m.steward()
	m.move("t", "s")
	l := m.came(office, 1)[0]
	if l.subject != "School of t: changes can't be delivered to the platform" {
		t.Errorf("subject %s", l.subject)
	}
	holds(t, l, "the receiver answers with an error of its own", "up to three days")
	p.set(func() { p.status = nil })
	holds(t, m.came(office, 2)[1], "takes changes again")
	m.until("t", "all is received", emptied)
}

// What the mail server refuses is sent later, once.
func TestRefusedLettersAreSentLater(t *testing.T) {
	t.Parallel()
	m, office := newManor(t), newPostOffice(t)
	m.post = office.sender(t)
	office.refuse = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "owner@t.example is greylisted"}
	m.tenant("t", "")
	m.steward()
	m.steward()
	m.fails("t", "p-1", model.MailboxUnreachable, graph.ReasonNoMailbox)
	testbed.Eventually(t, "three tries", func(context.Context) bool { return office.tried() >= 3 })
	// It is news all the time; the letter is known to have been begun, so that the end is told too.
	office.set(func() { office.refuse = nil })
	m.came(office, 1)
	if m.metric("pairsync_mails_total", "result", "retried") < 3 {
		t.Error("the refusals are not counted")
	}
	if strings.Contains(m.logs.String(), "@") {
		t.Errorf("an address is in the log:\n%s", &m.logs)
	}
}

// Of a letter that was handed over when the connection broke nobody knows: it is not sent again, and what comes next is.
func TestDoubtfulLettersAreNotSentTwice(t *testing.T) {
	t.Parallel()
	m, office := newManor(t), newPostOffice(t)
	m.post, office.hangUp = office.sender(t), true
	m.tenant("t", "")
	stop := m.steward()
	m.fails("t", "p-1", model.MailboxUnreachable, graph.ReasonNoMailbox)
	testbed.Eventually(t, "a doubt", func(context.Context) bool { return m.metric("pairsync_mails_total", "result", "unsure") == 1 })
	stop()
	office.set(func() { office.hangUp = false })
	m.steward()
	m.heals("p-1")
	m.came(office, 2)
}

// A process that ends while a letter is on its way leaves it alone, and so does the next.
func TestAStewardThatEndsWhileItWrites(t *testing.T) {
	t.Parallel()
	m, office := newManor(t), newPostOffice(t)
	m.post, m.cfg.MailLease = office.sender(t), 10*time.Millisecond
	office.hold = make(chan struct{})
	m.tenant("t", "")
	stop := m.steward()
	m.fails("t", "p-1", model.MailboxUnreachable, graph.ReasonNoMailbox)
	testbed.Eventually(t, "a letter on its way", func(context.Context) bool { return office.tried() == 1 })
	other := m.steward()
	m.fails("t", "p-2", model.MailboxUnreachable, graph.ReasonNoMailbox)
	testbed.Eventually(t, "the other letter on its way", func(context.Context) bool { return office.tried() == 2 })
	office.set(func() { close(office.hold); office.hold = nil })
	stop()
	other()
	m.steward()
	m.came(office, 2)
}

func TestWithoutAMailServerItIsLogged(t *testing.T) {
	t.Parallel()
	m := newManor(t)
	m.tenant("t", "")
	stop := m.steward()
	m.fails("t", "p-1", model.MailboxUnreachable, graph.ReasonNoMailbox)
	testbed.Eventually(t, "a line", func(context.Context) bool { return m.metric("pairsync_mails_total", "result", "logged") == 1 })
	log := m.logs.String()
	if !strings.Contains(log, "is not told, because no mail server is named") || !strings.Contains(log, "reasons=mailbox:no_mailbox:1") ||
		strings.Contains(log, "@") {
		t.Errorf("log:\n%s", log)
	}
	// When there is one at last, the old news is not sent.
	stop()
	office := newPostOffice(t)
	m.post = office.sender(t)
	m.steward()
	m.fails("t", "p-2", model.MailboxUnreachable, graph.ReasonNoMailbox)
	if l := m.came(office, 1)[0]; strings.Contains(l.text, "p-1") {
		t.Errorf("old news was sent:\n%s", l.text)
	}
}

func TestAnOwnerWithoutAnAddress(t *testing.T) {
	t.Parallel()
	m, office := newManor(t), newPostOffice(t)
	m.post = office.sender(t)
	m.tenant("t", "")
	if _, _, err := m.store.PutTenant(t.Context(), model.Tenant{ID: "t", Name: "School", OwnerEmail: "nobody\r\nBcc: x", Method: model.MethodDomainWide}); err != nil {
		t.Fatal(err)
	}
	m.steward()
	m.fails("t", "p-1", model.MailboxUnreachable, graph.ReasonNoMailbox)
	testbed.Eventually(t, "the letter to be dropped", func(context.Context) bool { return m.metric("pairsync_mails_total", "result", "dropped") == 1 })
	m.came(office, 0)
}
