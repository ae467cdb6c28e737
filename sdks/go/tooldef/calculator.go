package tooldef

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// Calculator is a tool that works out an arithmetic expression: + - * / %, parentheses and decimals.
func Calculator() Tool {
	return Tool{
		Name:        "calculator",
		Description: "Work out an arithmetic expression with + - * / %, parentheses and decimal numbers.",
		Parameters: map[string]any{
			"type":       "object",
			"properties": map[string]any{"expression": property("The expression, such as (2 + 3) * 4.")},
			"required":   []string{"expression"},
		},
		Execute: func(_ context.Context, input any, _ ToolExecutionContext) (any, error) {
			expression, err := textArgument("calculator", input, "expression", true)
			if err != nil {
				return nil, err
			}
			value, err := EvalExpression(expression)
			if err != nil {
				return nil, fmt.Errorf("calculator: %w", err)
			}
			return map[string]any{"result": value}, nil
		},
	}
}

func property(description string) map[string]any {
	return map[string]any{"type": "string", "description": description}
}

// expressionDepthMax bounds parentheses and signs within each other.
const expressionDepthMax = 1000

// EvalExpression works out an arithmetic expression. It fails for what is no expression, for divisions by zero, and for
// results beyond a float64.
func EvalExpression(input string) (float64, error) {
	p := expression{text: input}
	if p.skip(); p.at == len(p.text) {
		return 0, errors.New("empty expression")
	}
	value, err := p.sum()
	if err != nil {
		return 0, err
	}
	if p.skip(); p.at < len(p.text) {
		char, _ := utf8.DecodeRuneInString(p.text[p.at:])
		return 0, fmt.Errorf("unexpected character %q at position %d", string(char), p.at)
	}
	if math.IsInf(value, 0) || math.IsNaN(value) {
		return 0, errors.New("the result is too large")
	}
	return value, nil
}

// expression is a text and how far it is read.
type expression struct {
	text  string
	at    int
	depth int
}

func (p *expression) skip() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] >= '\t' && p.text[p.at] <= '\r') {
		p.at++
	}
}

// take reads one of these characters, if it comes next.
func (p *expression) take(chars string) byte {
	p.skip()
	for i := range len(chars) {
		if p.at < len(p.text) && p.text[p.at] == chars[i] {
			p.at++
			return chars[i]
		}
	}
	return 0
}

func (p *expression) sum() (float64, error) {
	value, err := p.product()
	for err == nil {
		sign := p.take("+-")
		if sign == 0 {
			return value, nil
		}
		var other float64
		if other, err = p.product(); sign == '-' {
			other = -other
		}
		value += other
	}
	return 0, err
}

func (p *expression) product() (float64, error) {
	value, err := p.factor()
	for err == nil {
		operator := p.take("*/%")
		if operator == 0 {
			return value, nil
		}
		var other float64
		if other, err = p.factor(); err != nil {
			break
		}
		switch {
		case operator == '*':
			value *= other
		case other == 0 && operator == '/':
			err = errors.New("division by zero")
		case other == 0:
			err = errors.New("modulo by zero")
		case operator == '/':
			value /= other
		default:
			value = math.Mod(value, other)
		}
	}
	return 0, err
}

func (p *expression) factor() (float64, error) {
	if p.depth++; p.depth > expressionDepthMax {
		return 0, fmt.Errorf("the expression is nested more than %d deep", expressionDepthMax)
	}
	defer func() { p.depth-- }()
	switch p.take("+-(") {
	case '+':
		return p.factor()
	case '-':
		value, err := p.factor()
		return -value, err
	case '(':
		value, err := p.sum()
		if err == nil && p.take(")") == 0 {
			err = fmt.Errorf("expected ')' at position %d", p.at)
		}
		return value, err
	}
	return p.number()
}

func (p *expression) number() (float64, error) {
	start := p.at
	for p.at < len(p.text) && (p.text[p.at] >= '0' && p.text[p.at] <= '9' || p.text[p.at] == '.') {
		p.at++
	}
	if p.at == start {
		return 0, fmt.Errorf("expected number at position %d", p.at)
	}
	value, err := strconv.ParseFloat(p.text[start:p.at], 64)
	if err != nil {
		return 0, fmt.Errorf("invalid number %.40q", p.text[start:p.at])
	}
	return value, nil
}
