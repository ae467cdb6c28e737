package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	joytoken "joytoken.example/sdk-go"
)

// stateVersion is the version of the JSON of a RunState.
const stateVersion = 1

// RunStatus says how far a run is.
type RunStatus string

const (
	// StatusRunning is a run that is under way, or whose process has died.
	StatusRunning RunStatus = "running"
	// StatusPending is a run that waits for decisions.
	StatusPending RunStatus = "pending"
	// StatusDone is a run whose model came to its end.
	StatusDone RunStatus = "done"
	// StatusStopped is a run that ended before that.
	StatusStopped RunStatus = "stopped"
)

// RunState is the whole of a run as JSON: what is needed to go on with it in another process. The SDKs for TypeScript
// and Python have the same.
type RunState struct {
	Version int         `json:"version"`
	Run     RunIdentity `json:"run"`
	Status  RunStatus   `json:"status"`
	// Step is how many model calls were answered.
	Step int `json:"step"`
	// ToolCalls is how many tool calls have a result.
	ToolCalls int                    `json:"tool_calls"`
	Messages  []joytoken.ChatMessage `json:"messages"`
	// Steps has fewer results than calls in its last item where tools are still to be run.
	Steps []AgentStep  `json:"steps"`
	Usage UsageSummary `json:"usage"`
	// CreditsUsed is an exact decimal text.
	CreditsUsed string        `json:"credits_used"`
	Pending     []PendingCall `json:"pending"`
	FinalText   string        `json:"final_text"`
	StoppedBy   *string       `json:"stopped_by"`
}

func newRunState(identity RunIdentity) *RunState {
	return &RunState{
		Version: stateVersion, Run: identity, Status: StatusRunning, CreditsUsed: "0",
		Messages: []joytoken.ChatMessage{}, Steps: []AgentStep{}, Pending: []PendingCall{},
	}
}

// ParseRunState reads the JSON of a state. What is none is an error that says what is wrong.
func ParseRunState(data []byte) (*RunState, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("agent: a state must be a JSON object: %w", err)
	}
	for _, name := range []string{"version", "run", "status", "step", "messages", "steps", "credits_used"} {
		if raw := fields[name]; raw == nil || bytes.Equal(raw, []byte("null")) {
			return nil, fmt.Errorf("agent: the state has no %s", name)
		}
	}
	if version := string(fields["version"]); version != fmt.Sprint(stateVersion) {
		return nil, fmt.Errorf("agent: the state has version %s; this SDK reads version %d", version, stateVersion)
	}
	state := newRunState(RunIdentity{})
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(state); err != nil {
		return nil, fmt.Errorf("agent: the state cannot be read: %w", err)
	}
	if err := state.check(); err != nil {
		return nil, err
	}
	return state, nil
}

// check refuses what a run could not go on with.
func (s *RunState) check() error {
	if s.Version != stateVersion {
		return fmt.Errorf("agent: the state has version %d; this SDK reads version %d", s.Version, stateVersion)
	}
	if err := s.Run.check(); err != nil {
		return fmt.Errorf("%w (in the state of a run)", err)
	}
	switch s.Status {
	case StatusRunning, StatusPending, StatusDone, StatusStopped:
	default:
		return fmt.Errorf("agent: the state has the unknown status %q", s.Status)
	}
	if s.Step < 0 || s.ToolCalls < 0 || s.Step != len(s.Steps) {
		return errors.New("agent: the state's step and tool_calls must not be negative, and step is the number of steps")
	}
	if _, err := parseCredits(s.CreditsUsed); err != nil {
		return fmt.Errorf("agent: the state's credits_used %w", err)
	}
	return nil
}

// encode is the state's JSON, without escapes that only HTML needs.
func (s *RunState) encode() ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		return nil, fmt.Errorf("agent: the state of run %q is no JSON: %w", s.Run.ID, err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// clone is a deep copy.
func (s *RunState) clone() (*RunState, error) {
	data, err := s.encode()
	if err != nil {
		return nil, err
	}
	return ParseRunState(data)
}

// asRead is a message as it is when its JSON has been written and read, so that a process which reads the state sends the
// same as the one that wrote it.
func asRead(message joytoken.ChatMessage) (joytoken.ChatMessage, error) {
	data, err := json.Marshal(message)
	if err != nil {
		return message, fmt.Errorf("agent: the model's message is no JSON: %w", err)
	}
	read := joytoken.ChatMessage{}
	return read, json.Unmarshal(data, &read)
}

// lastStep is the step that may still have tools to run; nil before the first answer.
func (s *RunState) lastStep() *AgentStep {
	if len(s.Steps) == 0 {
		return nil
	}
	return &s.Steps[len(s.Steps)-1]
}

// openCalls are the positions of the last answer's calls that have no result yet. Ids need not be unique: results are
// told apart by their order.
func (s *RunState) openCalls() []int {
	step := s.lastStep()
	if step == nil {
		return nil
	}
	left := map[string]int{}
	for _, result := range step.ToolResults {
		left[result.ToolCallID]++
	}
	var open []int
	for position, call := range step.AssistantMessage.ToolCalls {
		if left[call.ID] > 0 {
			left[call.ID]--
			continue
		}
		open = append(open, position)
	}
	return open
}

// answered says whether the model's last message was its final answer, which no later message follows.
func (s *RunState) answered() bool {
	step := s.lastStep()
	if step == nil || len(step.AssistantMessage.ToolCalls) > 0 || len(s.Messages) == 0 {
		return false
	}
	return s.Messages[len(s.Messages)-1].Role == "assistant"
}

// lastText is the text of the model's last message.
func (s *RunState) lastText() string {
	if step := s.lastStep(); step != nil {
		return contentText(step.AssistantMessage.Content)
	}
	return ""
}
