package agent

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	joytoken "joytoken.example/sdk-go"
)

// silent is a model that has nothing to say.
type silent struct{}

func (silent) Complete(context.Context, ModelRequest) (ModelResponse, error) {
	return ModelResponse{Message: joytoken.ChatMessage{Role: "assistant", Content: "Done."}}, nil
}

// A state comes from outside: whatever it says, it is refused or the run comes to an end.
func FuzzResumeState(f *testing.F) {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "spec", "vectors", "sdk", "agent-states.json"))
	if err != nil {
		f.Fatal(err)
	}
	var vectors struct {
		Cases []struct{ Input json.RawMessage }
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		f.Fatal(err)
	}
	for _, one := range vectors.Cases {
		f.Add([]byte(one.Input))
	}
	add := AgentTool{Name: "add", Execute: func(context.Context, any, ToolExecutionContext) (any, error) { return 3, nil }}
	assistant := New(AgentOptions{Model: silent{}, Tools: []AgentTool{add}})
	f.Fuzz(func(t *testing.T, data []byte) {
		state, err := ParseRunState(data)
		if err != nil {
			return
		}
		result, err := assistant.ResumeState(context.Background(), state, ResumeOptions{})
		if err == nil && result.Status != StatusDone && result.StoppedBy == "" {
			t.Fatalf("it ended as %+v", result)
		}
	})
}
