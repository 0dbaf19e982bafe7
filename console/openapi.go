package console

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
)

// openAPI describes everything below /v1 in OpenAPI 3.1, whose schemas are JSON Schema 2020-12.
// https://spec.openapis.org/oas/v3.1.0
//
//go:embed openapi.json
var openAPI []byte

// compactDocument is the description as it is sent.
func compactDocument() ([]byte, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, openAPI); err != nil {
		return nil, fmt.Errorf("console: reading the OpenAPI description: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

func (c *Console) getDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	// It changes with releases only.
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(c.document)
}
