package console

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMissingRoles names the least permission where none of a kind is there, and is content with a wider one.
func TestMissingRoles(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ have, want []string }{
		"the least":           {[]string{"User.ReadBasic.All", "MailboxSettings.Read", "Calendars.ReadWrite"}, nil},
		"more than the least": {[]string{"Calendars.ReadWrite", "MailboxSettings.ReadWrite", "User.Read.All"}, nil},
		"read only":           {[]string{"Calendars.Read", "MailboxSettings.Read", "User.ReadBasic.All"}, []string{"Calendars.ReadWrite"}},
		"none":                {nil, []string{"Calendars.ReadWrite", "MailboxSettings.Read", "User.ReadBasic.All"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, missingRoles(tt.have)); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
		})
	}
}
