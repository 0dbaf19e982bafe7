package mail

import (
	"errors"
	"strconv"

	gomail "github.com/wneessen/go-mail"
)

// Reason is a word that says why a letter was not sent.
type Reason string

// The reasons.
const (
	// ReasonUnwritable: the letter itself, or its recipient, can't be used. Another try is in vain.
	ReasonUnwritable Reason = "unwritable"
	// ReasonUnreachable: no conversation with the server came about: network, TLS or sign-in.
	ReasonUnreachable Reason = "unreachable"
	// ReasonRefused: the server refused the letter.
	ReasonRefused Reason = "refused"
	// ReasonUnsure: the letter was handed over, and the connection ended before the server said that it has it.
	ReasonUnsure Reason = "unsure"
)

// Error is a letter that was not sent, or of which that is not known. Its text holds no address.
type Error struct {
	Reason Reason
	// Code is SMTP's, 0 when the server gave none: 4xx passes, 5xx most likely not.
	Code int

	cause error
}

// Error names the reason, and the server's code if there was one.
func (e *Error) Error() string {
	text := "sending a letter: " + string(e.Reason)
	if e.Code != 0 {
		text += ", code " + strconv.Itoa(e.Code)
	}
	return text
}

// Unwrap gives what failed below. Its text may hold addresses.
func (e *Error) Unwrap() error { return e.cause }

// failed says what an error of the library means for a letter that it does not call delivered.
func failed(err error) *Error {
	e := &Error{Reason: ReasonUnreachable, cause: err}
	sending, ok := errors.AsType[*gomail.SendError](err)
	if !ok {
		return e
	}
	e.Code = sending.ErrorCode()
	switch {
	case e.Code != 0:
		e.Reason = ReasonRefused
	case sending.Reason == gomail.ErrSMTPDataClose:
		// The end of the data was on its way.
		e.Reason = ReasonUnsure
	case sending.Reason == gomail.ErrGetSender, sending.Reason == gomail.ErrGetRcpts, sending.Reason == gomail.ErrNoUnencoded:
		e.Reason = ReasonUnwritable
	}
	return e
}
