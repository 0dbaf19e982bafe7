package main

import "context"

func versionCommand() command {
	return command{
		name:    "version",
		summary: "prints version, commit and Go version",
		run: func(_ context.Context, cmd command, inv *invocation) error {
			if err := inv.noArguments(cmd, nil); err != nil {
				return err
			}
			inv.say("pairsync %s (commit %s, %s)", inv.build.Version, inv.build.Commit, inv.build.GoVersion)
			return nil
		},
	}
}
