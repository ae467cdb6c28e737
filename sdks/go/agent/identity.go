package agent

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// nameBytesMax is how long the names of a run can be.
const nameBytesMax = 128

// RunOptions names a run to the gateway, which holds it to its budget and shows it as a whole. Each text has 1 to 128
// visible ASCII characters without spaces, or is empty.
type RunOptions struct {
	// ID names the run; empty: a random one.
	ID string
	// ParentID is the run that began this one.
	ParentID string
	// Workflow names the kind of work.
	Workflow string
	// Budget is how many credits the run may spend, a decimal text such as "0.5". The key needs leave to set one.
	Budget string
}

// RunIdentity is RunOptions as they are kept in a RunState.
type RunIdentity struct {
	ID       string  `json:"id"`
	ParentID *string `json:"parent_id"`
	Workflow *string `json:"workflow"`
	Budget   *string `json:"budget"`
}

func (o *RunOptions) identity() (RunIdentity, error) {
	if o == nil {
		o = &RunOptions{}
	}
	identity := RunIdentity{
		ID: o.ID, ParentID: textOrNil(o.ParentID), Workflow: textOrNil(o.Workflow), Budget: textOrNil(o.Budget),
	}
	if identity.ID == "" {
		var random [16]byte
		_, _ = rand.Read(random[:])
		identity.ID = "run-" + hex.EncodeToString(random[:])
	}
	return identity, identity.check()
}

// check refuses what no header can carry.
func (i RunIdentity) check() error {
	for _, field := range []struct {
		name  string
		value *string
	}{{"ID", &i.ID}, {"ParentID", i.ParentID}, {"Workflow", i.Workflow}, {"Budget", i.Budget}} {
		if field.value != nil && !visibleASCII(*field.value) {
			return fmt.Errorf(
				"agent: Run.%s must be 1 to %d visible ASCII characters without spaces", field.name, nameBytesMax)
		}
	}
	if i.Budget != nil {
		if _, err := parseCredits(*i.Budget); err != nil {
			return fmt.Errorf("agent: Run.Budget %w", err)
		}
	}
	return nil
}

// child is the run that a tool call of this one begins. Its id is the same in every process and language.
func (i RunIdentity) child(callID string) RunIdentity {
	parent := i.ID
	return RunIdentity{ID: childRunID(parent, callID), ParentID: &parent, Workflow: i.Workflow}
}

// childRunID is parent.call where that is a safe name, else its beginning and a part of its hash.
func childRunID(parent, callID string) string {
	whole := parent + "." + callID
	safe, runes, changed := strings.Builder{}, 0, false
	for _, char := range whole {
		if !nameChar(char) {
			char, changed = '_', true
		}
		safe.WriteRune(char)
		runes++
	}
	if !changed && runes <= nameBytesMax {
		return whole
	}
	hash := sha256.Sum256([]byte(whole))
	return safe.String()[:min(95, runes)] + "-" + hex.EncodeToString(hash[:16])
}

// nameChar says whether a character can stand in the name of a run, a file or an address as it is.
func nameChar(char rune) bool {
	return char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || char >= '0' && char <= '9' ||
		char == '.' || char == '_' || char == '-'
}

func visibleASCII(value string) bool {
	for i := range len(value) {
		if value[i] <= ' ' || value[i] > '~' {
			return false
		}
	}
	return value != "" && len(value) <= nameBytesMax
}

func textOrNil(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func textOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
