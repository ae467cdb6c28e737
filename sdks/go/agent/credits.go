package agent

import (
	"errors"
	"math/big"
	"strings"
)

const (
	creditDecimals = 9
	// creditCharsMax bounds a text that is read as an amount.
	creditCharsMax = 64
)

var (
	creditUnit     = new(big.Int).Exp(big.NewInt(10), big.NewInt(creditDecimals), nil)
	errNotAnAmount = errors.New("must be a decimal number of credits with at most 9 decimals, such as \"0.5\"")
)

// parseCredits reads an exact amount, in nanocredits.
func parseCredits(text string) (*big.Int, error) {
	whole, fraction, dotted := strings.Cut(text, ".")
	if len(text) > creditCharsMax || len(fraction) > creditDecimals || !digits(whole) || dotted && !digits(fraction) {
		return nil, errNotAnAmount
	}
	amount, _ := new(big.Int).SetString(whole+fraction+strings.Repeat("0", creditDecimals-len(fraction)), 10)
	return amount, nil
}

func digits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != ""
}

// addCredits is the exact sum of two amounts; one that is none counts nothing.
func addCredits(sum, more string) string {
	amount, err := parseCredits(more)
	if err != nil {
		return sum
	}
	if before, err := parseCredits(sum); err == nil {
		amount.Add(amount, before)
	}
	whole, rest := new(big.Int).QuoRem(amount, creditUnit, new(big.Int))
	decimals := rest.String()
	decimals = strings.Repeat("0", creditDecimals-len(decimals)) + decimals
	for len(decimals) > 6 && decimals[len(decimals)-1] == '0' {
		decimals = decimals[:len(decimals)-1]
	}
	return whole.String() + "." + decimals
}
