package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// schema is the part of a JSON Schema that values are checked against: types, objects, lists, enumerations, constants,
// anyOf and bounds. Other keywords are told to the model and not checked.
type schema struct {
	Type                 typeNames          `json:"type"`
	Properties           map[string]*schema `json:"properties"`
	Required             []string           `json:"required"`
	AdditionalProperties *extraProperties   `json:"additionalProperties"`
	Items                *schema            `json:"items"`
	Enum                 []any              `json:"enum"`
	Const                json.RawMessage    `json:"const"`
	AnyOf                []*schema          `json:"anyOf"`
	Minimum              *float64           `json:"minimum"`
	Maximum              *float64           `json:"maximum"`
	ExclusiveMinimum     *float64           `json:"exclusiveMinimum"`
	ExclusiveMaximum     *float64           `json:"exclusiveMaximum"`
	MinLength            *int               `json:"minLength"`
	MaxLength            *int               `json:"maxLength"`
	MinItems             *int               `json:"minItems"`
	MaxItems             *int               `json:"maxItems"`

	never bool // the schema false
}

// schemaBytesMax bounds a schema as JSON.
const schemaBytesMax = 1 << 20

// compileSchema reads a schema. One that is no JSON Schema of the plain kinds is an error.
func compileSchema(fields map[string]any) (*schema, error) {
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("no JSON: %w", err)
	}
	if len(data) > schemaBytesMax {
		return nil, fmt.Errorf("more than %d bytes", schemaBytesMax)
	}
	compiled := &schema{}
	if err := json.Unmarshal(data, compiled); err != nil {
		return nil, fmt.Errorf("no JSON Schema: %w", err)
	}
	return compiled, nil
}

// UnmarshalJSON takes true and false, too.
func (s *schema) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case "true":
		return nil
	case "false":
		s.never = true
		return nil
	}
	type plain schema
	return json.Unmarshal(data, (*plain)(s))
}

// typeNames is one name or several.
type typeNames []string

var knownTypes = []string{"string", "integer", "number", "boolean", "null", "object", "array"}

func (t *typeNames) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = typeNames{one}
	} else if err := json.Unmarshal(data, (*[]string)(t)); err != nil {
		return err
	}
	for _, name := range *t {
		if !slices.Contains(knownTypes, name) {
			return fmt.Errorf("unknown type %q", name)
		}
	}
	return nil
}

// extraProperties is whether properties that are not named are allowed, or their schema.
type extraProperties struct{ schema }

func (e *extraProperties) UnmarshalJSON(data []byte) error { return e.schema.UnmarshalJSON(data) }

// check says what of a value, as encoding/json reads it, does not fit; nil where all does.
func (s *schema) check(value any) error { return s.checkAt("", value) }

func (s *schema) checkAt(path string, value any) error {
	if s == nil {
		return nil
	}
	if s.never {
		return misfit(path, "nothing is allowed here")
	}
	if len(s.Type) > 0 && !slices.ContainsFunc(s.Type, func(name string) bool { return isOfType(name, value) }) {
		return misfit(path, "it must be of type "+strings.Join(s.Type, " or "))
	}
	if s.Enum != nil && !slices.ContainsFunc(s.Enum, func(one any) bool { return reflect.DeepEqual(one, value) }) {
		allowed, _ := json.Marshal(s.Enum)
		return misfit(path, "it must be one of "+string(allowed))
	}
	if len(s.Const) > 0 {
		var only any
		if json.Unmarshal(s.Const, &only) != nil || !reflect.DeepEqual(only, value) {
			return misfit(path, "it must be "+string(s.Const))
		}
	}
	if len(s.AnyOf) > 0 {
		var last error
		if !slices.ContainsFunc(s.AnyOf, func(one *schema) bool { last = one.checkAt(path, value); return last == nil }) {
			return fmt.Errorf("it fits none of the alternatives, the last because %w", last)
		}
	}
	switch value := value.(type) {
	case string:
		return s.checkText(path, value)
	case float64:
		return s.checkNumber(path, value)
	case []any:
		return s.checkList(path, value)
	case map[string]any:
		return s.checkObject(path, value)
	}
	return nil
}

func isOfType(name string, value any) bool {
	switch value := value.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && value == math.Trunc(value)
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	}
	return false
}

func (s *schema) checkText(path, value string) error {
	length := utf8.RuneCountInString(value)
	if s.MinLength != nil && length < *s.MinLength {
		return misfit(path, fmt.Sprintf("it must have at least %d characters", *s.MinLength))
	}
	if s.MaxLength != nil && length > *s.MaxLength {
		return misfit(path, fmt.Sprintf("it must have at most %d characters", *s.MaxLength))
	}
	return nil
}

func (s *schema) checkNumber(path string, value float64) error {
	switch {
	case s.Minimum != nil && value < *s.Minimum:
		return misfit(path, fmt.Sprintf("it must be at least %v", *s.Minimum))
	case s.Maximum != nil && value > *s.Maximum:
		return misfit(path, fmt.Sprintf("it must be at most %v", *s.Maximum))
	case s.ExclusiveMinimum != nil && value <= *s.ExclusiveMinimum:
		return misfit(path, fmt.Sprintf("it must be more than %v", *s.ExclusiveMinimum))
	case s.ExclusiveMaximum != nil && value >= *s.ExclusiveMaximum:
		return misfit(path, fmt.Sprintf("it must be less than %v", *s.ExclusiveMaximum))
	}
	return nil
}

func (s *schema) checkList(path string, value []any) error {
	if s.MinItems != nil && len(value) < *s.MinItems {
		return misfit(path, fmt.Sprintf("it must have at least %d items", *s.MinItems))
	}
	if s.MaxItems != nil && len(value) > *s.MaxItems {
		return misfit(path, fmt.Sprintf("it must have at most %d items", *s.MaxItems))
	}
	for i, item := range value {
		if err := s.Items.checkAt(fmt.Sprintf("%s[%d]", path, i), item); err != nil {
			return err
		}
	}
	return nil
}

func (s *schema) checkObject(path string, value map[string]any) error {
	for _, name := range s.Required {
		if _, there := value[name]; !there {
			return misfit(path, fmt.Sprintf("property %q is missing", name))
		}
	}
	names := make([]string, 0, len(value))
	for name := range value {
		names = append(names, name)
	}
	slices.Sort(names) // so that the same value gives the same error
	for _, name := range names {
		at := path + "." + name
		if property, named := s.Properties[name]; named {
			if err := property.checkAt(at, value[name]); err != nil {
				return err
			}
		} else if s.AdditionalProperties != nil {
			if s.AdditionalProperties.never {
				return misfit(path, fmt.Sprintf("property %q is not allowed", name))
			}
			if err := s.AdditionalProperties.checkAt(at, value[name]); err != nil {
				return err
			}
		}
	}
	return nil
}

func misfit(path, problem string) error {
	if path == "" {
		return errors.New(problem)
	}
	return fmt.Errorf("at %s: %s", path, problem)
}
