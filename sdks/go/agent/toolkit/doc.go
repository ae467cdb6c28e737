// Package toolkit has tools for agents, and what is put around tools: permissions, timeouts, audit.
//
//	tools := toolkit.Default(
//		toolkit.WithPermission(toolkit.Permission{Mode: toolkit.PermissionAsk, Ask: ask}),
//		toolkit.WithMiddleware(toolkit.Audit(log), toolkit.Timeout(10*time.Second)),
//	).Register(toolkit.HTTPFetch(toolkit.HTTPFetchConfig{AllowedHosts: []string{"example.com"}})).Tools()
package toolkit
