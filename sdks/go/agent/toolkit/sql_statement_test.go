package toolkit

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// statementText is a text, or a list of parts of a long one.
type statementText string

func (s *statementText) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		return json.Unmarshal(data, (*string)(s))
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	for _, part := range parts {
		var repeated struct {
			Repeat string
			Times  int
		}
		if part[0] == '"' {
			repeated.Times = 1
			if err := json.Unmarshal(part, &repeated.Repeat); err != nil {
				return err
			}
		} else if err := json.Unmarshal(part, &repeated); err != nil {
			return err
		}
		*s += statementText(strings.Repeat(repeated.Repeat, repeated.Times))
	}
	return nil
}

func TestVectorsSQLStatements(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "spec", "vectors", "sdk", "sql-statements.json"))
	if err != nil {
		t.Fatalf("the shared vectors must be there: %v", err)
	}
	var table struct {
		Cases []struct {
			Name   string
			Input  statementText
			Expect string
		}
	}
	if err := json.Unmarshal(data, &table); err != nil || len(table.Cases) < 100 {
		t.Fatal(len(table.Cases), err)
	}
	refusals := map[string]error{
		"reading": nil, "empty": errEmptyStatement, "long": errLongStatement, "other": errNotReadOnly,
	}
	for _, c := range table.Cases {
		t.Run(c.Name, func(t *testing.T) {
			expect, known := refusals[c.Expect]
			if found := checkReadOnly(string(c.Input)); !known || !errors.Is(found, expect) {
				t.Errorf("%q is %s: %v", c.Input, c.Expect, found)
			}
		})
	}
}

func TestALongStatementOfAnySignsIsLookedAtInOneGo(t *testing.T) {
	for _, piece := range []string{
		"$", "$a", ":", "::", "$a(", "/*", "*/", "'", "\\'", "[", "]]", "--", "-", "#", "e'", "(", "é", "\r", "$$", "$a$b",
	} {
		if checkReadOnly(strings.Repeat(piece, 60_000/len(piece))+" delete") == nil {
			t.Errorf("%q", piece)
		}
	}
}

// A statement is hostile input: whatever it is, the check ends.
func FuzzCheckReadOnly(f *testing.F) {
	for _, seed := range []string{"select 1", "/*", "'", "$", "$a", "[", "--", "e'", "/*!", "\\", "`", "explain (", "pragma a."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, statement string) {
		if checkReadOnly(statement) == nil && strings.TrimSpace(statement) == "" {
			t.Fatal("nothing was taken for a statement")
		}
	})
}
