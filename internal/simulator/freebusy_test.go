package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

func TestFreeBusy(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	at := monday()
	b := o.pair(t) // From nine to half past; Grace has not answered.
	if _, err := o.AddPrivateEvent(email("Ada"), "Dentist", at.Add(time.Hour), at.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := o.SetMailbox(email("Alan"), MailboxAccessDenied); err != nil {
		t.Fatal(err)
	}
	ask := func(minutes int) []map[string]any {
		var list []map[string]any
		for _, v := range o.graph(t, 200, http.MethodPost, "/users/"+email("Ada")+"/calendar/getSchedule", map[string]any{
			"schedules": []string{email("Ada"), email("Grace"), email("Alan"), "nobody@contoso.example"}, "availabilityViewInterval": minutes,
			"startTime": wallTime{at.Format(localTime), "UTC"}, "endTime": wallTime{at.Add(2 * time.Hour).Format(localTime), "UTC"},
		})["value"].([]any) {
			list = append(list, v.(map[string]any))
		}
		return list
	}
	got := ask(30)
	for i, view := range []any{"2022", "1000", nil, nil} {
		if got[i]["availabilityView"] != view {
			t.Errorf("%v: view %v, want %v", got[i]["scheduleId"], got[i]["availabilityView"], view)
		}
	}
	if text(t, got[2], "error", "responseCode") != "ErrorNoFreeBusyAccess" || text(t, got[3], "error", "responseCode") != "5009" {
		t.Errorf("errors %v, %v", got[2]["error"], got[3]["error"])
	}
	items := got[0]["scheduleItems"].([]any)
	if dentist := items[1].(map[string]any); dentist["isPrivate"] != true || dentist["subject"] != nil {
		t.Errorf("a private event shows %v", dentist)
	}
	if text(t, got[0], "workingHours", "startTime") != "08:00:00.0000000" {
		t.Errorf("working hours %v", got[0]["workingHours"])
	}
	if err := o.Decline(email("Grace"), b.ID); err != nil {
		t.Fatal(err)
	}
	if got := ask(60)[1]["availabilityView"]; got != "00" {
		t.Errorf("after the refusal: %v", got)
	}
	if o.Reads(b.ID) != 0 {
		t.Error("free/busy counts as a reading of the event")
	}
}

func TestFreeBusyLimits(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	many := make([]string, 21)
	for i := range many {
		many[i] = fmt.Sprintf("p%d@contoso.example", i)
	}
	at := func(d time.Duration) wallTime { return wallTime{monday().Add(d).Format(localTime), "UTC"} }
	tests := map[string]map[string]any{
		"too many people":  {"schedules": many, "startTime": at(0), "endTime": at(time.Hour)},
		"nobody":           {"schedules": []string{}, "startTime": at(0), "endTime": at(time.Hour)},
		"too long":         {"schedules": many[:1], "startTime": at(0), "endTime": at(62 * 24 * time.Hour)},
		"backwards":        {"schedules": many[:1], "startTime": at(time.Hour), "endTime": at(0)},
		"too fine":         {"schedules": many[:1], "startTime": at(0), "endTime": at(time.Hour), "availabilityViewInterval": 4},
		"too coarse":       {"schedules": many[:1], "startTime": at(0), "endTime": at(time.Hour), "availabilityViewInterval": 1441},
		"no such zone":     {"schedules": many[:1], "startTime": wallTime{"2031-01-01T00:00:00", "Moon"}, "endTime": at(time.Hour)},
		"no end":           {"schedules": many[:1], "startTime": at(0)},
		"end is no date":   {"schedules": many[:1], "startTime": at(0), "endTime": wallTime{"late", "UTC"}},
		"start is no date": {"schedules": many[:1], "startTime": wallTime{"", "UTC"}, "endTime": at(0)},
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.graph(t, 400, http.MethodPost, "/users/"+email("Ada")+"/calendar/getSchedule", body)
		})
	}
}

func TestBusiestWins(t *testing.T) {
	t.Parallel()
	var got []byte
	for _, s := range []string{"free", "workingElsewhere", "unknown", "tentative", "busy", "oof"} {
		got = append(got, busyDigit(s))
	}
	if !slices.Equal(got, []byte("000123")) {
		t.Errorf("digits %s", got)
	}
}
