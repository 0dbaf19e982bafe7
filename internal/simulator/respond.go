package simulator

import (
	"fmt"
	"net/http"
	"strings"
)

// responseBody is what accept, decline, tentativelyAccept and cancel take. Names may begin with a capital letter, which
// encoding/json accepts as it is.
type responseBody struct {
	Comment         string `json:"comment"`
	SendResponse    *bool  `json:"sendResponse"`
	ProposedNewTime *struct {
		Start *wallTime `json:"start"`
		End   *wallTime `json:"end"`
	} `json:"proposedNewTime"`
}

func cannot(reason string) *graphError {
	return refuse(http.StatusBadRequest, "ErrorInvalidRequest", "Your request can't be completed. "+reason)
}

// respond makes the handler of one kind of answer.
func respond(answer string) handler {
	return func(c *call) (int, any, error) {
		var b responseBody
		if err := c.decode(&b, true); err != nil {
			return 0, nil, err
		}
		proposed, err := b.proposal()
		if err != nil {
			return 0, nil, err
		}
		send := b.SendResponse == nil || *b.SendResponse
		t := c.s.begin()
		defer t.end()
		it, err := c.findLive()
		if err != nil {
			return 0, nil, err
		}
		if err := t.respond(it, answer, proposed, send); err != nil {
			return 0, nil, err
		}
		return http.StatusAccepted, nil, nil
	}
}

func (b *responseBody) proposal() (*slot, error) {
	if b.ProposedNewTime == nil {
		return nil, nil //nolint:nilnil // No proposal is not an error.
	}
	p := b.ProposedNewTime
	if p.Start == nil || p.End == nil {
		return nil, cannot("A proposed time needs a start and an end.")
	}
	start, z, err := p.Start.instant()
	if err != nil {
		return nil, cannot("The proposed start is not valid.")
	}
	end, _, err := p.End.instant()
	if err != nil || !end.After(start) {
		return nil, cannot("The proposed end is not valid.")
	}
	return &slot{Start: start, End: end, Zone: z.name}, nil
}

// respond checks what Outlook checks and then answers.
// https://learn.microsoft.com/graph/api/event-tentativelyaccept
func (t *tx) respond(it *item, answer string, proposed *slot, send bool) error {
	switch {
	case it.organizers() == it:
		return cannot("You can't respond to this meeting because you're the meeting organizer.")
	case it.state.Cancelled:
		return cannot("The meeting has been canceled.")
	case proposed != nil && answer == answerAccepted:
		return cannot("A new time can be proposed only when declining or tentatively accepting.")
	case proposed != nil && !send:
		return cannot("A new time can be proposed only when the response is sent.")
	case proposed != nil && !it.state.AllowProposals:
		return cannot("The organizer does not allow new time proposals for this meeting.")
	}
	t.answer(it, answer, proposed, send)
	return nil
}

func cancelEvent(c *call) (int, any, error) {
	var b responseBody
	if err := c.decode(&b, true); err != nil {
		return 0, nil, err
	}
	t := c.s.begin()
	defer t.end()
	it, err := c.findLive()
	if err != nil {
		return 0, nil, err
	}
	if it.organizers() != it {
		return 0, nil, cannot("You need to be an organizer to cancel a meeting.")
	}
	t.cancel(it, b.Comment)
	return http.StatusAccepted, nil, nil
}

// dismissReminder changes nothing that matters, but subscriptions hear of it, as they do in Outlook.
func dismissReminder(c *call) (int, any, error) {
	t := c.s.begin()
	defer t.end()
	it, err := c.findLive()
	if err != nil {
		return 0, nil, err
	}
	t.edit(it)
	return http.StatusOK, nil, nil
}

// translateIDs maps ids of one format to the other. https://learn.microsoft.com/graph/api/user-translateexchangeids
func translateIDs(c *call) (int, any, error) {
	var b struct {
		InputIDs     []string `json:"inputIds"`
		SourceIDType string   `json:"sourceIdType"`
		TargetIDType string   `json:"targetIdType"`
	}
	if err := c.decode(&b, false); err != nil {
		return 0, nil, err
	}
	if len(b.InputIDs) > 1000 {
		return 0, nil, badRequest("At most 1000 ids can be translated at once.")
	}
	immutable := strings.EqualFold(b.TargetIDType, "restImmutableEntryId")
	c.s.world.mu.RLock()
	defer c.s.world.mu.RUnlock()
	values := []object{}
	for _, id := range b.InputIDs {
		it := c.box.byID[id]
		if it == nil {
			return 0, nil, refuse(http.StatusNotFound, "ErrorInvalidIdMalformed", fmt.Sprintf("Id %q is malformed.", id))
		}
		values = append(values, object{{"targetId", it.idFor(immutable)}, {"sourceId", id}})
	}
	return http.StatusOK, object{{"value", values}}, nil
}
