package tooldef

import (
	"context"
	"fmt"
	"time"
)

// DateTime is a tool that tells the time in a time zone.
func DateTime() Tool {
	return Tool{
		Name:        "datetime",
		Description: "Tell the current date and time in a time zone.",
		Parameters: map[string]any{
			"type":       "object",
			"properties": map[string]any{"timezone": property("An IANA name such as Europe/Berlin; UTC where it is left out.")},
		},
		Execute: func(_ context.Context, input any, _ ToolExecutionContext) (any, error) {
			name, err := textArgument("datetime", input, "timezone", false)
			if err != nil {
				return nil, err
			}
			if name == "" {
				name = "UTC"
			}
			zone, err := time.LoadLocation(name)
			if err != nil || name == "Local" {
				return nil, fmt.Errorf("datetime: invalid timezone %.100q", name)
			}
			now := time.Now()
			return map[string]any{
				"datetime": now.In(zone).Format(time.DateTime), "timezone": name, "unix": now.Unix(),
			}, nil
		},
	}
}
