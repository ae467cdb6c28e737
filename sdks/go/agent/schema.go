package agent

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SchemaFor is the JSON Schema of a Go type, as encoding/json reads it. A field of a struct is required unless it is a
// pointer or has omitempty, omitzero; a pointer may be null. The tag jsonschema adds to it:
//
//	City string `json:"city" jsonschema:"description=The city, in English,minLength=1"`
//	Unit string `json:"unit,omitempty" jsonschema:"enum=celsius|fahrenheit"`
//
// Its keys are title, description, format, enum, default, minimum, maximum, exclusiveMinimum, exclusiveMaximum, minLength,
// maxLength, minItems and maxItems. Types that hold themselves, functions and channels have no schema.
func SchemaFor[T any]() (map[string]any, error) {
	kind := reflect.TypeFor[T]()
	schema, err := (&schemaMaker{}).of(kind)
	if err != nil {
		return nil, fmt.Errorf("agent: type %s has no schema: %w", kind, err)
	}
	return schema, nil
}

// schemaMaker remembers the structs that it is within.
type schemaMaker struct{ within []reflect.Type }

var (
	timeType            = reflect.TypeFor[time.Time]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonUnmarshalerType = reflect.TypeFor[json.Unmarshaler]()
)

func (m *schemaMaker) of(kind reflect.Type) (map[string]any, error) {
	switch {
	case kind == timeType:
		return map[string]any{"type": "string", "format": "date-time"}, nil
	case kind.Kind() != reflect.Pointer && reflect.PointerTo(kind).Implements(jsonUnmarshalerType):
		return map[string]any{}, nil // its own affair
	case kind.Kind() != reflect.Pointer && reflect.PointerTo(kind).Implements(textUnmarshalerType):
		return map[string]any{"type": "string"}, nil
	}
	switch kind.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}, nil
	case reflect.Bool:
		return map[string]any{"type": "boolean"}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return map[string]any{"type": "integer"}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return map[string]any{"type": "integer", "minimum": 0}, nil
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}, nil
	case reflect.Interface:
		return map[string]any{}, nil
	case reflect.Pointer:
		schema, err := m.of(kind.Elem())
		return nullable(schema), err
	case reflect.Slice, reflect.Array:
		return m.ofList(kind)
	case reflect.Map:
		return m.ofMap(kind)
	case reflect.Struct:
		return m.ofStruct(kind)
	}
	return nil, fmt.Errorf("%s is no JSON", kind)
}

// nullable is a schema that takes null, too.
func nullable(schema map[string]any) map[string]any {
	if name, ok := schema["type"].(string); ok {
		schema["type"] = []string{name, "null"}
	}
	return schema
}

func (m *schemaMaker) ofList(kind reflect.Type) (map[string]any, error) {
	if kind.Kind() == reflect.Slice && kind.Elem().Kind() == reflect.Uint8 {
		return map[string]any{"type": "string", "contentEncoding": "base64"}, nil
	}
	items, err := m.of(kind.Elem())
	schema := map[string]any{"type": "array", "items": items}
	if kind.Kind() == reflect.Array {
		schema["minItems"], schema["maxItems"] = kind.Len(), kind.Len()
	}
	return schema, err
}

func (m *schemaMaker) ofMap(kind reflect.Type) (map[string]any, error) {
	switch kind.Key().Kind() {
	case reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
	default:
		return nil, fmt.Errorf("%s has keys that are no text", kind)
	}
	values, err := m.of(kind.Elem())
	return map[string]any{"type": "object", "additionalProperties": values}, err
}

func (m *schemaMaker) ofStruct(kind reflect.Type) (map[string]any, error) {
	if slices.Contains(m.within, kind) {
		return nil, fmt.Errorf("%s holds itself", kind)
	}
	m.within = append(m.within, kind)
	defer func() { m.within = m.within[:len(m.within)-1] }()
	schema := map[string]any{"type": "object", "properties": map[string]any{}, "additionalProperties": false}
	required, err := m.addFields(kind, schema["properties"].(map[string]any), nil)
	if required != nil {
		schema["required"] = required
	}
	return schema, err
}

// addFields adds the fields of a struct and of those embedded in it, and returns the names that are required.
func (m *schemaMaker) addFields(kind reflect.Type, properties map[string]any, required []string) ([]string, error) {
	for i := range kind.NumField() {
		field := kind.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		inner := field.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if field.Anonymous && name == "" && inner.Kind() == reflect.Struct {
			if slices.Contains(m.within, inner) {
				return nil, fmt.Errorf("%s holds itself", inner)
			}
			m.within = append(m.within, inner)
			var err error
			required, err = m.addFields(inner, properties, required)
			if m.within = m.within[:len(m.within)-1]; err != nil {
				return nil, err
			}
			continue
		}
		if !field.IsExported() || name == "-" && options == "" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		property, err := m.of(field.Type)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", field.Name, err)
		}
		given := strings.Split(options, ",")
		if slices.Contains(given, "string") {
			property["type"] = "string"
		}
		if err := addTag(property, field.Tag.Get("jsonschema")); err != nil {
			return nil, fmt.Errorf("field %s: %w", field.Name, err)
		}
		properties[name] = property
		optional := slices.Contains(given, "omitempty") || slices.Contains(given, "omitzero")
		if field.Type.Kind() != reflect.Pointer && !optional && !slices.Contains(required, name) {
			required = append(required, name)
		}
	}
	return required, nil
}

// addTag adds what the tag jsonschema says of a field. A comma within a value is part of it, unless a key follows.
func addTag(property map[string]any, tag string) error {
	var pairs [][2]string
	for _, part := range strings.Split(tag, ",") {
		key, value, isPair := strings.Cut(part, "=")
		if _, known := tagKeys[key]; isPair && known {
			pairs = append(pairs, [2]string{key, value})
		} else if len(pairs) > 0 {
			pairs[len(pairs)-1][1] += "," + part
		} else if tag != "" {
			return fmt.Errorf("tag jsonschema has the unknown key %q", key)
		}
	}
	for _, pair := range pairs {
		value, err := tagKeys[pair[0]](pair[1], property)
		if err != nil {
			return fmt.Errorf("tag jsonschema: %s=%s: %w", pair[0], pair[1], err)
		}
		property[pair[0]] = value
	}
	return nil
}

// tagKeys are the keys of the tag and how their values are read.
var tagKeys = map[string]func(text string, property map[string]any) (any, error){
	"title": tagText, "description": tagText, "format": tagText,
	"minimum": tagNumber, "maximum": tagNumber, "exclusiveMinimum": tagNumber, "exclusiveMaximum": tagNumber,
	"minLength": tagCount, "maxLength": tagCount, "minItems": tagCount, "maxItems": tagCount,
	"enum": tagEnum, "default": tagValue,
}

func tagText(text string, _ map[string]any) (any, error) { return text, nil }

func tagNumber(text string, _ map[string]any) (any, error) {
	if _, err := strconv.ParseFloat(text, 64); err != nil || !json.Valid([]byte(text)) {
		return nil, fmt.Errorf("no number")
	}
	return json.Number(text), nil
}

func tagCount(text string, _ map[string]any) (any, error) { return strconv.ParseUint(text, 10, 31) }

// tagEnum is the values that are parted by |, each of the property's type; null is among them where that may be null.
func tagEnum(text string, property map[string]any) (any, error) {
	var values []any
	for _, one := range strings.Split(text, "|") {
		value, err := tagValue(one, property)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	if names, ok := property["type"].([]string); ok && slices.Contains(names, "null") {
		values = append(values, nil)
	}
	return values, nil
}

// tagValue is a text where the property is one, else JSON.
func tagValue(text string, property map[string]any) (any, error) {
	name, _ := property["type"].(string)
	if names, ok := property["type"].([]string); ok {
		name = names[0]
	}
	if name == "string" {
		return text, nil
	}
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return nil, fmt.Errorf("no JSON")
	}
	return value, nil
}
