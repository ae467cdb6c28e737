package tooldef

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The expressions of spec/vectors/sdk/eval-expression.json: see the README there.
func TestVectorsOfExpressions(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "spec", "vectors", "sdk", "eval-expression.json"))
	if err != nil {
		t.Fatalf("the shared vectors must be there: %v", err)
	}
	var vectors struct {
		Cases []struct {
			Name, Input string
			Expect      struct {
				Value *float64
				Error string
			}
		}
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, c := range vectors.Cases {
		t.Run(c.Name, func(t *testing.T) {
			got, err := EvalExpression(c.Input)
			if c.Expect.Value == nil {
				if err == nil || !strings.Contains(err.Error(), c.Expect.Error) {
					t.Errorf("got %v and %v, want an error with %q", got, err, c.Expect.Error)
				}
				return
			}
			if want := *c.Expect.Value; err != nil || math.Abs(got-want) > 1e-12*math.Max(1, math.Abs(want)) {
				t.Errorf("got %v and %v, want %v", got, err, want)
			}
		})
	}
	if len(vectors.Cases) == 0 {
		t.Fatal("there are no cases")
	}
}
