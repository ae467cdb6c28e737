package joytoken

import "encoding/json"

const (
	// OrchestrationPlannerTaskID is the task of the planner's own row in the metadata of an orchestrated answer.
	OrchestrationPlannerTaskID = "__planner__"
	// OrchestrationFinalTaskID is the task whose text is the answer.
	OrchestrationFinalTaskID = "__final__"
	// OrchestrationPhasePlanning is the phase of the chunk that carries the plan.
	OrchestrationPhasePlanning = "planning"
)

// PlanEntry is one task of an orchestrated answer's plan.
type PlanEntry struct {
	Seq    int    `json:"seq"`
	TaskID string `json:"task_id"`
	Title  string `json:"title"`
}

// OrchestrationBilling is what one task cost.
type OrchestrationBilling struct {
	InputTokens        int `json:"input_tokens"`
	OutputTokens       int `json:"output_tokens"`
	CachedInputTokens  int `json:"cached_input_tokens"`
	CachedOutputTokens int `json:"cached_output_tokens"`
	// CreditsUsed is a decimal number.
	CreditsUsed string `json:"credits_used"`

	known bool // whether any count of tokens was there
}

// UnmarshalJSON reads figures that are numbers, texts or null.
func (b *OrchestrationBilling) UnmarshalJSON(data []byte) error {
	var fields map[string]any
	if err := unmarshalExact(data, &fields); err != nil {
		return err
	}
	*b = OrchestrationBilling{CreditsUsed: decimalText(fields["credits_used"])}
	for name, field := range map[string]*int{
		"input_tokens": &b.InputTokens, "output_tokens": &b.OutputTokens,
		"cached_input_tokens": &b.CachedInputTokens, "cached_output_tokens": &b.CachedOutputTokens,
	} {
		if tokens := tokenCount(fields[name]); tokens != nil {
			*field, b.known = *tokens, true
		}
	}
	return nil
}

// OrchestrationLatency is how long one task took, in milliseconds.
type OrchestrationLatency struct {
	RoutingMS float64 `json:"routing_ms"`
}

// OrchestrationTaskMeta is the metadata row of one task.
type OrchestrationTaskMeta struct {
	RequestID  string                `json:"request_id,omitempty"`
	Model      string                `json:"model,omitempty"`
	Tier       string                `json:"tier,omitempty"`
	Tag        []string              `json:"tag,omitempty"`
	TaskID     string                `json:"task_id,omitempty"`
	TaskSeq    int                   `json:"task_seq,omitempty"`
	TaskStatus string                `json:"task_status,omitempty"`
	Latency    *OrchestrationLatency `json:"latency,omitempty"`
	Billing    *OrchestrationBilling `json:"billing,omitempty"`
	// Extra has the fields of the row that have no name here, such as title.
	Extra map[string]any `json:"-"`
}

// UnmarshalJSON reads a row. A field whose value is of another kind than it should be is left empty, so that one odd
// row does not lose a paid answer.
func (m *OrchestrationTaskMeta) UnmarshalJSON(data []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	*m = OrchestrationTaskMeta{}
	for name, field := range map[string]any{
		"request_id": &m.RequestID, "model": &m.Model, "tier": &m.Tier, "tag": &m.Tag, "task_id": &m.TaskID,
		"task_seq": &m.TaskSeq, "task_status": &m.TaskStatus, "latency": &m.Latency, "billing": &m.Billing,
	} {
		if value, ok := fields[name]; ok {
			_ = json.Unmarshal(value, field)
			delete(fields, name)
		}
	}
	for name, value := range fields {
		var extra any
		if json.Unmarshal(value, &extra) == nil {
			if m.Extra == nil {
				m.Extra = map[string]any{}
			}
			m.Extra[name] = extra
		}
	}
	return nil
}

// ChunkOrchestration says to which task of an orchestrated answer a chunk belongs.
type ChunkOrchestration struct {
	Phase      string      `json:"phase,omitempty"`
	Plan       []PlanEntry `json:"plan,omitempty"`
	TaskID     string      `json:"task_id,omitempty"`
	TaskSeq    int         `json:"task_seq,omitempty"`
	TaskStatus string      `json:"task_status,omitempty"`
	Title      string      `json:"title,omitempty"`
}

// IsPlanning says whether the chunk carries the plan.
func (o *ChunkOrchestration) IsPlanning() bool {
	return o != nil && o.Phase == OrchestrationPhasePlanning
}

// IsOrchestrated says whether the answer was made by several tasks.
func (r *ChatCompletionResponse) IsOrchestrated() bool {
	if r == nil {
		return false
	}
	if len(r.Plan) > 0 {
		return true
	}
	for _, row := range r.MetadataList {
		_, titled := row.Extra["title"].(string)
		if row.TaskID != "" || row.TaskSeq != 0 || titled {
			return true
		}
	}
	return false
}
