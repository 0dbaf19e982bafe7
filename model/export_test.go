package model

import "context"

// Limits opens the Store's settings to tests.
func Limits(ctx context.Context, s *Store, names ...string) (conns int32, settings []string, err error) {
	for _, name := range names {
		var setting string
		if err := s.pool.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&setting); err != nil {
			return 0, nil, err
		}
		settings = append(settings, setting)
	}
	return s.pool.Config().MaxConns, settings, nil
}
