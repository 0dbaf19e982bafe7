package workers

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"pairsync/model"
)

// cloudEventType is the namespace of the events' types; the kind of the change follows.
const cloudEventType = "pairsync.session."

// envelope is a CloudEvent in its structured JSON form, with the sequence and partitioning extensions.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
type envelope struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Subject         string `json:"subject"`
	Time            string `json:"time"`
	DataContentType string `json:"datacontenttype"`
	// Sequence is the change's cursor: it grows with commit order, with gaps.
	Sequence     string `json:"sequence"`
	PartitionKey string `json:"partitionkey"`
	// Data is the change as the platform API shows it.
	Data model.Change `json:"data"`
}

// cloudEvent is a change as the platform receives it. The id is the change's own: whoever gets it twice can tell.
func cloudEvent(ch model.Change) ([]byte, error) {
	body, err := json.Marshal(envelope{
		SpecVersion:     "1.0",
		ID:              ch.ID,
		Source:          "pairsync/" + url.PathEscape(ch.Tenant),
		Type:            cloudEventType + string(ch.Kind),
		Subject:         ch.Session,
		Time:            ch.AppliedAt.UTC().Format(time.RFC3339Nano),
		DataContentType: "application/json",
		Sequence:        strconv.FormatInt(ch.Cursor, 10),
		PartitionKey:    url.PathEscape(ch.Tenant) + "/" + url.PathEscape(ch.Session),
		Data:            ch,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding change %s: %w", ch.ID, err)
	}
	return body, nil
}
