package simulator

import (
	"embed"
	"net/http"
)

//go:embed page
var pageFiles embed.FS

// pageRoutes serves the page on which one acts as a person in Outlook.
func (s *Simulator) pageRoutes(mux *http.ServeMux) {
	for path, file := range map[string]string{
		"GET /{$}": "page/index.html", "GET /page/app.js": "page/app.js", "GET /page/connection.js": "page/connection.js",
		"GET /page/app.css": "page/app.css",
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data:; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Header().Set("Cache-Control", "no-cache")
			http.ServeFileFS(w, r, pageFiles, file)
		})
	}
}
