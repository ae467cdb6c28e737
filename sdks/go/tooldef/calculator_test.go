package tooldef

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func use(t *testing.T, tool Tool, input map[string]any) (map[string]any, error) {
	t.Helper()
	result, err := SafeExecute(context.Background(), tool, input, ToolExecutionContext{})
	fields, _ := result.(map[string]any)
	return fields, err
}

func TestVectorsEvalExpression(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "spec", "vectors", "sdk", "eval-expression.json"))
	if err != nil {
		t.Fatalf("the shared vectors must be there: %v", err)
	}
	var vectors struct {
		Cases []struct {
			Name   string `json:"name"`
			Input  string `json:"input"`
			Expect struct {
				Value float64 `json:"value"`
				Error string  `json:"error"`
			} `json:"expect"`
		} `json:"cases"`
	}
	if err := json.Unmarshal(data, &vectors); err != nil || len(vectors.Cases) == 0 {
		t.Fatal(err)
	}
	for _, c := range vectors.Cases {
		t.Run(c.Name, func(t *testing.T) {
			got, err := EvalExpression(c.Input)
			if c.Expect.Error != "" {
				if err == nil || !strings.Contains(err.Error(), c.Expect.Error) {
					t.Fatalf("got %v, %v", got, err)
				}
				return
			}
			if err != nil || math.Abs(got-c.Expect.Value) > 1e-12*math.Max(1, math.Abs(got)) {
				t.Fatalf("got %v, %v", got, err)
			}
		})
	}
}

func TestHostileExpressions(t *testing.T) {
	for name, expression := range map[string]string{
		"deep":      strings.Repeat("(", 1<<20),
		"signs":     strings.Repeat("-", 1<<20) + "1",
		"too large": strings.Repeat("9", 400),
		"infinite":  strings.Repeat("9", 300) + "*" + strings.Repeat("9", 300),
	} {
		if got, err := EvalExpression(expression); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	_, err := use(t, Calculator(), map[string]any{"expression": strings.Repeat("1", MaxArgBytes+1)})
	if err == nil || !strings.Contains(err.Error(), "over 1048576 bytes") {
		t.Errorf("got %v", err)
	}
}

func TestCalculatorAndDateTime(t *testing.T) {
	got, err := use(t, Calculator(), map[string]any{"expression": "(2 + 3) * 4"})
	if err != nil || got["result"] != 20.0 {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := use(t, Calculator(), map[string]any{"expression": "1/0"}); err.Error() != "calculator: division by zero" {
		t.Fatal(err)
	}
	got, err = use(t, DateTime(), map[string]any{"timezone": "Europe/Berlin"})
	if err != nil || got["timezone"] != "Europe/Berlin" {
		t.Fatalf("%v, %v", got, err)
	}
	told, err := time.ParseInLocation(time.DateTime, got["datetime"].(string), mustLoad(t, "Europe/Berlin"))
	if err != nil || told.Unix() != got["unix"] {
		t.Fatalf("%v, %v", told, err)
	}
	for _, zone := range []string{"Nowhere", "../etc/passwd", "Local"} {
		if _, err := use(t, DateTime(), map[string]any{"timezone": zone}); err == nil ||
			!strings.HasPrefix(err.Error(), "datetime: invalid timezone") {
			t.Errorf("%s: %v", zone, err)
		}
	}
}

func mustLoad(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}
