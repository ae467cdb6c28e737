package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	joytoken "joytoken.example/sdk-go"
	"joytoken.example/sdk-go/agent"
)

type base struct {
	ID int64 `json:"id" jsonschema:"minimum=1"`
}

type order struct {
	base
	City   string            `json:"city" jsonschema:"title=City,description=Where to, in English,minLength=1"`
	Unit   string            `json:"unit,omitempty" jsonschema:"enum=kg|lb,default=kg"`
	Size   *float64          `json:"size" jsonschema:"exclusiveMinimum=0,maximum=9.5"`
	Level  *string           `json:"level" jsonschema:"enum=a|b"`
	Stars  int               `json:"stars" jsonschema:"enum=1|2|3"`
	Tags   []string          `json:"tags" jsonschema:"minItems=1,maxItems=3"`
	Notes  map[string]string `json:"notes,omitempty"`
	When   time.Time         `json:"when"`
	Raw    json.RawMessage   `json:"raw,omitempty"`
	Data   []byte            `json:"data,omitempty"`
	Pair   [2]uint8          `json:"pair,omitempty"`
	Count  int               `json:"count,string"`
	Any    any
	Hidden string `json:"-"`
	secret string
}

func TestASchemaFollowsFromAType(t *testing.T) {
	schema, err := agent.SchemaFor[order]()
	must(t, err)
	want := `{"type":"object","additionalProperties":false,
"required":["id","city","stars","tags","when","count","Any"],
"properties":{"id":{"type":"integer","minimum":1},
"city":{"type":"string","title":"City","description":"Where to, in English","minLength":1},
"unit":{"type":"string","enum":["kg","lb"],"default":"kg"},
"size":{"type":["number","null"],"exclusiveMinimum":0,"maximum":9.5},
"level":{"type":["string","null"],"enum":["a","b",null]},
"stars":{"type":"integer","enum":[1,2,3]},
"tags":{"type":"array","items":{"type":"string"},"minItems":1,"maxItems":3},
"notes":{"type":"object","additionalProperties":{"type":"string"}},
"when":{"type":"string","format":"date-time"},"raw":{},
"data":{"type":"string","contentEncoding":"base64"},
"pair":{"type":"array","items":{"type":"integer","minimum":0},"minItems":2,"maxItems":2},
"count":{"type":"string"},"Any":{}}}`
	var got, expected any
	must(t, json.Unmarshal([]byte(textOf(schema)), &got))
	must(t, json.Unmarshal([]byte(want), &expected))
	if textOf(got) != textOf(expected) {
		t.Fatalf("got  %s\nwant %s", textOf(got), textOf(expected))
	}
	_ = order{secret: ""}
}

type list struct {
	Next *list `json:"next"`
}

func TestTypesWithoutASchema(t *testing.T) {
	for name, make := range map[string]func() (map[string]any, error){
		"itself":   agent.SchemaFor[list],
		"function": agent.SchemaFor[struct{ F func() }],
		"channel":  agent.SchemaFor[struct{ C chan int }],
		"bad keys": agent.SchemaFor[map[float64]int],
		"bad tag": agent.SchemaFor[struct {
			A int `jsonschema:"minimun=1"`
		}],
		"bad bound": agent.SchemaFor[struct {
			A int `jsonschema:"minimum=one"`
		}],
		"bad enum": agent.SchemaFor[struct {
			A int `jsonschema:"enum=one|2"`
		}],
	} {
		if schema, err := make(); err == nil {
			t.Errorf("%s: %v", name, schema)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a tool without a struct was made")
		}
	}()
	agent.ToolFor("x", "", func(context.Context, string) (any, error) { return nil, nil })
}

func TestATypedToolGetsItsInputExactly(t *testing.T) {
	type numbers struct {
		Great int64  `json:"great"`
		Note  string `json:"note,omitempty"`
	}
	var got numbers
	var id string
	tool := agent.ToolFor("x", "Takes numbers", func(ctx context.Context, in numbers) (any, error) {
		execution, _ := agent.ExecutionOf(ctx)
		got, id = in, execution.RunID+"/"+execution.ToolCall.ID
		return in, nil
	})
	result, err := agent.New(agent.AgentOptions{
		Model: scripted(calls("x", `{"great":9007199254740993}`), says("Done.")), Tools: []agent.AgentTool{tool},
	}).Run(context.Background(), "Go.")
	must(t, err)
	if got.Great != 9007199254740993 || result.Steps[0].ToolResults[0].Content != `{"great":9007199254740993}` ||
		id != result.RunID+"/call_1" {
		t.Fatal(got, id)
	}
	// A middleware may have changed the input: then that counts.
	execution := agent.ToolExecutionContext{ToolCall: joytoken.ToolCall{Function: joytoken.ToolFunction{Arguments: `{"great":1}`}}}
	_, err = tool.Execute(context.Background(), map[string]any{"great": 2, "note": "changed"}, execution)
	must(t, err)
	if got.Great != 2 || got.Note != "changed" {
		t.Fatal(got)
	}
}

type weather struct {
	Sky     string `json:"sky" jsonschema:"enum=clear|grey"`
	Degrees int    `json:"degrees" jsonschema:"minimum=-90,maximum=60"`
}

func TestTheFinalAnswerIsOfAType(t *testing.T) {
	table := []struct {
		name    string
		answers []any
		calls   int
		problem string
	}{
		{"at once", []any{says(`{"sky":"clear","degrees":21}`)}, 1, ""},
		{"in a fence", []any{says("```json\n{\"sky\":\"clear\",\"degrees\":21}\n```")}, 1, ""},
		{"repaired", []any{says(`{"sky":"clear"}`), says(`{"sky":"clear","degrees":21}`)}, 2, ""},
		{"never", []any{says(`It is clear.`), says(`{"sky":"blue","degrees":21}`)}, 2, `at .sky: it must be one of ["clear","grey"]`},
		{"more after it", []any{says(`{"sky":"clear","degrees":21} {}`), says(`{"sky":"clear","degrees":210}`)}, 2, "at most 60"},
	}
	for _, row := range table {
		model := scripted(row.answers...)
		store := agent.NewMemoryStore()
		assistant := agent.New(agent.AgentOptions{Model: model, Output: agent.OutputFor[weather]("weather"), Store: store})
		result, err := assistant.Run(context.Background(), "The weather?")
		if row.problem != "" {
			var wrong *agent.OutputError
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), row.problem) || wrong.Text == "" ||
				result.StoppedBy != "invalid_output" || model.count() != row.calls {
				t.Errorf("%s: %v %+v", row.name, err, result)
			}
			if _, err := agent.OutputAs[weather](result); err == nil {
				t.Errorf("%s: there is an output", row.name)
			}
			continue
		}
		must(t, err)
		again, err := assistant.Resume(context.Background(), result.RunID, agent.ResumeOptions{})
		must(t, err)
		for _, one := range []agent.AgentResult{result, again} {
			value, err := agent.OutputAs[weather](one)
			if err != nil || value != (weather{"clear", 21}) || one.Output.(map[string]any)["degrees"] != 21.0 || model.count() != row.calls {
				t.Errorf("%s: %v %v", row.name, value, err)
			}
		}
		format := textOf(model.requests[0].ResponseFormat)
		if !strings.Contains(format, `"name":"weather"`) || !strings.Contains(format, `"strict":true`) || !strings.Contains(format, `"maximum":60`) {
			t.Error(format)
		}
	}
	for _, name := range []string{"", "a b", "a.b", strings.Repeat("x", 65)} {
		assistant := agent.New(agent.AgentOptions{Model: scripted(says("{}")), Output: &agent.OutputFormat{Name: name}})
		if _, err := assistant.Run(context.Background(), "Go."); err == nil || !strings.Contains(err.Error(), "Output.Name") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTheSchemaGoesToTheGateway(t *testing.T) {
	for _, protocol := range []agent.Protocol{agent.OpenAIProtocol, agent.AnthropicProtocol} {
		gateway := newFakeGateway(t, gatewayAnswer{body: `{"choices":[{"message":{"content":"{\"sky\":\"grey\",\"degrees\":1}"}}]}`})
		_, err := agent.New(agent.AgentOptions{
			Model:  agent.NewJoyTokenProvider(gateway.client(), agent.WithProtocol(protocol)),
			Output: agent.OutputFor[weather]("weather"),
		}).Run(context.Background(), "Go.")
		must(t, err)
		if format, _ := gateway.seen()[0].body["response_format"].(map[string]any); format["type"] != "json_schema" {
			t.Errorf("%s: %s", protocol, gateway.seen()[0].raw)
		}
	}
}
