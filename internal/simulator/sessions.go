package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// SignIn is how a person's sign-in to applications stands.
type SignIn string

// The kinds of sign-in. Revoked, inactive, too old, in want of a second factor and without consent end every sign-in that
// there is, and the next one mends it. Blocked by conditional access and disabled refuse new ones too until they are lifted.
const (
	SignInOK          SignIn = "ok"
	SignInRevoked     SignIn = "revoked"
	SignInInactive    SignIn = "inactive"
	SignInTooOld      SignIn = "too_old"
	SignInMFA         SignIn = "mfa_required"
	SignInUnconsented SignIn = "consent_withdrawn"
	SignInBlocked     SignIn = "blocked"
	SignInDisabled    SignIn = "disabled"
)

// refusal is what Entra says to a token request of such a sign-in; nil when it serves it.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
func (k SignIn) refusal() *loginError {
	denied := func(number int, suberror, message string) *loginError {
		return &loginError{status: http.StatusBadRequest, code: "invalid_grant", number: number, message: message, suberror: suberror}
	}
	switch k {
	case SignInRevoked:
		return denied(50173, "bad_token", "The provided grant has expired due to it being revoked, a fresh auth token is needed. "+
			"The user might have changed or reset their password.")
	case SignInInactive:
		return denied(700082, "bad_token", "The refresh token has expired due to inactivity.")
	case SignInTooOld:
		return denied(70043, "bad_token", "The refresh token has expired or is invalid due to sign-in frequency checks by conditional access.")
	case SignInMFA:
		e := denied(50076, "basic_action", "Due to a configuration change made by your administrator, or because you moved to a new "+
			"location, you must use multi-factor authentication to access '"+graphAppID+"'.")
		e.code = "interaction_required"
		return e
	case SignInUnconsented:
		return denied(65001, "consent_required", "The user or administrator has not consented to use the application. Send an "+
			"interactive authorization request for this user and resource.")
	case SignInBlocked:
		return denied(53003, "message_only", "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.")
	case SignInDisabled:
		return denied(50057, "", "The user account is disabled.")
	case SignInOK:
	}
	return nil
}

func (k SignIn) valid() bool { return k == SignInOK || k.refusal() != nil }

// lasts says whether a new sign-in is refused as well.
func (k SignIn) lasts() bool { return k == SignInBlocked || k == SignInDisabled }

// graphAppID is the application id of Microsoft Graph in every organisation.
const graphAppID = "00000003-0000-0000-c000-000000000000"

// session is one sign-in of a person to an application. Its refresh tokens carry its id, the time of their issue and a
// signature of its own, so that any number of them can be good at once without one being kept. The world's lock guards it.
type session struct {
	id, app string
	box     *mailbox
	scopes  []string
	secret  []byte
	began   time.Time
	used    time.Time
	// ended is why its tokens are refused; ok while they are not.
	ended SignIn
}

// refreshToken writes a refresh token of the session.
func (ses *session) refreshToken(now time.Time) string {
	id := uuid.MustParse(ses.id)
	b := binary.BigEndian.AppendUint64(id[:], uint64(now.UnixNano()))
	b = append(b, randomBytes(8)...)
	return "1." + base64.RawURLEncoding.EncodeToString(append(b, ses.sign(b)...))
}

func (ses *session) sign(b []byte) []byte {
	mac := hmac.New(sha256.New, ses.secret)
	mac.Write(b)
	return mac.Sum(nil)
}

// sessionOf finds the session of a refresh token and the time at which that was issued. The caller holds the world's lock.
func (w *world) sessionOf(token string) (*session, time.Time, bool) {
	text, ok := strings.CutPrefix(token, "1.")
	b, err := base64.RawURLEncoding.DecodeString(text)
	if !ok || err != nil || len(b) != 32+sha256.Size {
		return nil, time.Time{}, false
	}
	ses := w.sessions[uuid.UUID(b[:16]).String()]
	if ses == nil || !hmac.Equal(ses.sign(b[:32]), b[32:]) {
		return nil, time.Time{}, false
	}
	return ses, time.Unix(0, int64(binary.BigEndian.Uint64(b[16:24]))), true //nolint:gosec // G115: we wrote it.
}

// standing is how a sign-in stands now. The caller holds the world's lock.
func (ses *session) standing() SignIn {
	if ses.ended == SignInOK && ses.box.signIn.lasts() {
		return ses.box.signIn
	}
	return ses.ended
}

// stillGood says whether the sign-in behind a token, if there is one, has not been ended since. One that only grew old, or
// can't be renewed, lets its last token live out. The caller holds the world's lock.
func (w *world) stillGood(c *claims) bool {
	if c.Session == "" {
		return true
	}
	ses := w.sessions[c.Session]
	if ses == nil {
		return false
	}
	switch ses.standing() {
	case SignInRevoked, SignInMFA, SignInUnconsented, SignInDisabled:
		return false
	case SignInOK, SignInInactive, SignInTooOld, SignInBlocked:
	}
	return true
}

// signIn signs a person in to an application.
func (w *world) signIn(box *mailbox, app string, scopes []string) *session {
	now := time.Now().UTC()
	ses := &session{
		id: newGUID(), app: app, box: box, scopes: scopes, secret: randomBytes(32), began: now, used: now, ended: SignInOK,
	}
	w.sessions[ses.id] = ses
	box.signIn = SignInOK
	return ses
}

// SetSignIn changes how a person's sign-in to applications stands, as an admin, a policy or time does it in Entra.
func (s *Simulator) SetSignIn(person string, k SignIn) error {
	if !k.valid() {
		return fmt.Errorf("sign-in %q is not known", k)
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	box, err := w.person(person)
	if err != nil {
		return err
	}
	box.signIn = k
	if k != SignInOK && !k.lasts() {
		for _, ses := range w.sessions {
			if ses.box == box && ses.ended == SignInOK {
				ses.ended = k
			}
		}
	}
	s.saver.dirty()
	s.feed.publish()
	return nil
}

// SessionView is one sign-in of a person to an application.
type SessionView struct {
	App     string    `json:"app"`
	Scopes  []string  `json:"scopes"`
	BeganAt time.Time `json:"began_at"`
	// UsedAt is when it last got a token.
	UsedAt time.Time `json:"used_at"`
	// Standing is ok while its refresh tokens are good, else why they are not.
	Standing SignIn `json:"standing"`
}

// Sessions lists a person's sign-ins to applications, newest first.
func (s *Simulator) Sessions(person string) ([]SessionView, error) {
	w := s.world
	w.mu.RLock()
	defer w.mu.RUnlock()
	box, err := w.person(person)
	if err != nil {
		return nil, err
	}
	list := []SessionView{}
	for _, ses := range w.sessions {
		if ses.box == box {
			list = append(list, SessionView{ses.app, ses.scopes, ses.began, ses.used, ses.standing()})
		}
	}
	slices.SortFunc(list, func(a, b SessionView) int { return b.BeganAt.Compare(a.BeganAt) })
	return list, nil
}

// savedSession is a session in the state file.
type savedSession struct {
	ID     string    `json:"id"`
	App    string    `json:"app"`
	Box    string    `json:"mailbox"`
	Scopes []string  `json:"scopes"`
	Secret []byte    `json:"secret"`
	Began  time.Time `json:"began"`
	Used   time.Time `json:"used"`
	Ended  SignIn    `json:"ended"`
}

func (ses *session) save() savedSession {
	return savedSession{ses.id, ses.app, ses.box.id, ses.scopes, ses.secret, ses.began, ses.used, ses.ended}
}

func (w *world) loadSession(in savedSession) error {
	box := w.users[in.Box]
	if _, err := uuid.Parse(in.ID); err != nil || box == nil {
		return fmt.Errorf("person of sign-in %s: %w", in.ID, errNotFound)
	}
	w.sessions[in.ID] = &session{in.ID, in.App, box, in.Scopes, in.Secret, in.Began, in.Used, in.Ended}
	return nil
}
