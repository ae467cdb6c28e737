// Durablerun is the program that a test kills in the middle of an agent's run, and resumes.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"time"

	joytoken "joytoken.example/sdk-go"
	"joytoken.example/sdk-go/agent"
)

const question = "What is the weather in Paris?"

type place struct {
	City string `json:"city" jsonschema:"description=The city"`
}

// report is the last line that the program prints.
type report struct {
	FinalText   string   `json:"finalText"`
	StoppedBy   *string  `json:"stoppedBy"`
	Steps       int      `json:"steps"`
	RequestIDs  []string `json:"requestIds"`
	CreditsUsed string   `json:"creditsUsed"`
	Replayed    int      `json:"replayed"`
}

func main() {
	model := flag.String("model", "echo", "the model")
	runID := flag.String("run-id", "", "the run")
	folder := flag.String("state", "", "the folder of its state")
	hang := flag.Int("hang-after-answer", 0, "the answer after which nothing more happens")
	resume := flag.Bool("resume", false, "go on with the run")
	flag.Parse()
	line := &line{hangAfter: *hang}
	result, err := run(*model, *runID, *folder, *resume, line)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	said := report{
		FinalText: result.FinalText, Steps: len(result.Steps), RequestIDs: result.RequestIDs,
		CreditsUsed: result.CreditsUsed, Replayed: line.replayed,
	}
	if result.StoppedBy != "" {
		said.StoppedBy = &result.StoppedBy
	}
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		os.Exit(1)
	}
}

func run(model, runID, folder string, resume bool, line *line) (agent.AgentResult, error) {
	client := joytoken.NewClient(joytoken.WithHTTPClient(line), joytoken.WithTimeout(0))
	weather := func(_ context.Context, in place) (any, error) {
		return map[string]any{"city": in.City, "weather": "sunny, 21 degrees"}, nil
	}
	assistant := agent.New(agent.AgentOptions{
		Model:       agent.NewJoyTokenProvider(client, agent.WithModel(model)),
		Tools:       []agent.AgentTool{agent.ToolFor("get_weather", "The weather in a city", weather)},
		ToolChoice:  map[string]any{"type": "function", "function": map[string]any{"name": "get_weather"}},
		Temperature: agent.Float64(0),
		MaxTokens:   agent.Int(48),
		Store:       agent.NewFileStore(folder),
	})
	if resume {
		return assistant.Resume(context.Background(), runID, agent.ResumeOptions{})
	}
	return assistant.RunWithOptions(context.Background(), agent.AgentRunOptions{
		Input: question, Run: &agent.RunOptions{ID: runID},
	})
}

// line sends requests. After the answer with a certain number it tells of it and gives it to nobody.
type line struct {
	hangAfter int
	answers   int
	replayed  int
}

func (l *line) Do(request *http.Request) (*http.Response, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(data))
	l.answers++
	if response.Header.Get("Idempotent-Replayed") == "true" {
		l.replayed++
	}
	if l.answers == l.hangAfter {
		fmt.Printf("answer %d\n", l.answers)
		time.Sleep(math.MaxInt64)
	}
	return response, nil
}
