package toolkit

import (
	"strings"
	"unicode"
)

// dialect is how one kind of database parts a text into words, strings and comments. Each is as exact as its database:
// whichever is asked, one of them sees what it sees.
type dialect struct {
	quotes     string // characters that quote strings and names
	backslash  string // those of the quotes within which a backslash escapes
	brackets   bool   // [a name]
	doubled    bool   // ]] is a bracket within [a name]
	dollar     bool   // $tag$a string$tag$, E'a string with \', and names with a $ that begins no string: a$$
	parameters bool   // $name(anything) is a parameter, and a name may have a $
	nested     bool   // comments within comments
	hash       bool   // comments from # to the end of the line, from -- only before white space; /*! begins no comment
}

var dialects = []dialect{
	{quotes: "'\"`", brackets: true, parameters: true},           // SQLite
	{quotes: "'\"", dollar: true, nested: true},                  // PostgreSQL
	{quotes: "'\"", backslash: "'", dollar: true, nested: true},  // PostgreSQL with backslashes in plain strings
	{quotes: "'\"`", backslash: "'\"", hash: true},               // MySQL
	{quotes: "'\"`", backslash: "'", hash: true},                 // MySQL with names in double quotes
	{quotes: "'\"`", hash: true},                                 // MySQL without backslashes
	{quotes: "'\"", brackets: true, doubled: true, nested: true}, // SQL Server
}

const (
	stringToken = "''" // a string or a quoted name
	// escapedToken is a string after E: apart, since the next line may go on with it.
	escapedToken = "E''"
	// unclearToken is what databases read in different ways, so that no statement needs it. No word and no sign equals it.
	unclearToken = "\x00"
)

// tokens are the words of a text in capitals and its other characters, one by one, without comments.
func (d dialect) tokens(text string) []string {
	var tokens []string
	before := ""
	for at := 0; at < len(text); {
		if strings.IndexByte(" \t\r\n\f\v\x00", text[at]) >= 0 {
			at++
			continue
		}
		length, token := d.next(text, at, before)
		at += length
		if token != "" {
			tokens = append(tokens, token)
			before = token
		}
	}
	return tokens
}

// next is the length of what stands at a place, and its token: a comment has none.
func (d dialect) next(text string, at int, before string) (length int, token string) {
	rest := text[at:]
	char := rest[0]
	switch {
	case d.lineComment(rest):
		return lineCommentOf(rest)
	case d.hash && (strings.HasPrefix(rest, "/*!") || strings.HasPrefix(rest, "/*M!")):
		return len("/*!"), unclearToken // it may be run
	case strings.HasPrefix(rest, "/*"):
		return d.comment(rest), ""
	case strings.IndexByte(d.quotes, char) >= 0:
		// E right before a string says that backslashes escape in it, and in the strings that it goes on with.
		if d.dollar && char == '\'' && (before == escapedToken || before == "E" && at > 0 && text[at-1]|0x20 == 'e') {
			return quoted(rest, char, true), escapedToken
		}
		return quoted(rest, char, strings.IndexByte(d.backslash, char) >= 0), stringToken
	case d.doubled && char == '[':
		return quoted(rest, ']', false), stringToken
	case d.brackets && char == '[':
		return upTo(rest, "]"), stringToken
	}
	if tag := dollarTag(rest); d.dollar && tag != "" {
		return len(tag) + upTo(rest[len(tag):], tag), stringToken
	}
	if length := parameter(rest); d.parameters && length > 0 {
		return length, stringToken
	}
	word := d.word(rest)
	switch {
	case word == "":
		return 1, rest[:1]
	case strings.ContainsFunc(word, oddSpace):
		return len(word), unclearToken
	}
	return len(word), strings.ToUpper(word)
}

func (d dialect) lineComment(text string) bool {
	if d.hash && text[0] == '#' {
		return true
	}
	return strings.HasPrefix(text, "--") && (!d.hash || len(text) == 2 || text[2] <= ' ' || text[2] == 0x7f)
}

// lineCommentOf is the length of a comment. A carriage return alone ends a line for some databases, and for others not.
func lineCommentOf(text string) (length int, token string) {
	length = upTo(text, "\n")
	comment := text[:length]
	if strings.Count(comment, "\r") > strings.Count(comment, "\r\n") {
		return length, unclearToken
	}
	return length, ""
}

// comment is the length of a comment.
func (d dialect) comment(text string) int {
	if !d.nested {
		return 2 + upTo(text[2:], "*/")
	}
	depth := 0
	for at := 0; at < len(text); at++ {
		switch {
		case strings.HasPrefix(text[at:], "/*"):
			depth++
			at++
		case strings.HasPrefix(text[at:], "*/"):
			at++
			if depth--; depth == 0 {
				return at + 1
			}
		}
	}
	return len(text)
}

// quoted is the length of a string or a quoted name.
func quoted(text string, quote byte, backslash bool) int {
	for at := 1; at < len(text); at++ {
		switch {
		case backslash && text[at] == '\\':
			at++
		case text[at] == quote && at+1 < len(text) && text[at+1] == quote:
			at++
		case text[at] == quote:
			return at + 1
		}
	}
	return len(text)
}

// dollarTag is the $tag$ that a string begins with; empty where none does.
func dollarTag(text string) string {
	if text[0] != '$' {
		return ""
	}
	for at := 1; at < len(text); at++ {
		if text[at] == '$' {
			return text[:at+1]
		}
		if !wordChar(text[at]) || at == 1 && isDigit(text[at]) {
			return ""
		}
	}
	return ""
}

// parameter is the length of a parameter of SQLite: $name, @a::name, :name(anything without spaces). 0 where none is.
func parameter(text string) int {
	if strings.IndexByte("$@#:", text[0]) < 0 {
		return 0
	}
	at := 1
	for at < len(text) && (wordChar(text[at]) || text[at] == '$' || strings.HasPrefix(text[at:], "::")) {
		if text[at] == ':' {
			at++
		}
		at++
	}
	if at == 1 {
		return 0
	}
	if at < len(text) && text[at] == '(' {
		at++
		for at < len(text) && strings.IndexByte(" \t\n\v\f\r)", text[at]) < 0 {
			at++
		}
		if at < len(text) && text[at] == ')' {
			at++
		}
	}
	return at
}

// word is the word that a text begins with; empty where none does. A number is a word of its own where names may have a $.
func (d dialect) word(text string) string {
	dollars := d.dollar || d.parameters
	at := 0
	for at < len(text) && (wordChar(text[at]) || dollars && at > 0 && text[at] == '$') {
		if dollars && isDigit(text[0]) && !isDigit(text[at]) {
			break
		}
		at++
	}
	return text[:at]
}

func wordChar(char byte) bool {
	return char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || isDigit(char) || char == '_' || char >= 0x80
}

func isDigit(char byte) bool { return char >= '0' && char <= '9' }

// oddSpace is white space to some databases, and part of a name to others.
func oddSpace(char rune) bool { return char >= 0x80 && unicode.IsSpace(char) || char == 0xfeff }

// upTo is the length up to and with an end; without one, all.
func upTo(text, end string) int {
	if found := strings.Index(text, end); found >= 0 {
		return found + len(end)
	}
	return len(text)
}
