package toolkit

import (
	"errors"
	"slices"
	"strings"
)

// statementBytesMax bounds a statement.
const statementBytesMax = 64 << 10

var (
	errEmptyStatement = errors.New("empty statement")
	errNotReadOnly    = errors.New("only read-only statements are allowed")
	errInnerSemicolon = errors.New("only read-only statements are allowed: no semicolon may stand before the end")
)

// dialect is how a database parts a statement into words, strings and comments. A statement only reads where all of the
// dialects say so: what one of them takes for a string or a comment may be a command for another.
type dialect struct {
	backslash bool   // escapes a quote within strings
	brackets  bool   // [a name]
	dollar    bool   // $tag$a string$tag$, and E'a string with \'
	nested    bool   // comments within comments
	hash      bool   // comments from # to the end of the line, and from -- only before white space
	quotes    string // characters that quote strings and names
}

var dialects = []dialect{
	{quotes: "'\"`", brackets: true},               // SQLite
	{quotes: "'\"", dollar: true, nested: true},    // PostgreSQL
	{quotes: "'\"`", backslash: true, hash: true},  // MySQL
	{quotes: "'\"", backslash: true, dollar: true}, // PostgreSQL with backslashes in plain strings
	{quotes: "'\"`", hash: true},                   // MySQL without backslashes
	{quotes: "'\"", brackets: true, nested: true},  // SQL Server
}

// checkReadOnly refuses what is not one statement that only reads. It is the first of two fences: the session is
// read-only, too.
func checkReadOnly(statement string) error {
	if len(statement) > statementBytesMax {
		return errors.New("the statement is too long")
	}
	for _, dialect := range dialects {
		tokens := dialect.tokens(statement)
		if len(tokens) > 0 && tokens[len(tokens)-1] == ";" {
			tokens = tokens[:len(tokens)-1]
		}
		if len(tokens) == 0 {
			return errEmptyStatement
		}
		if slices.Contains(tokens, ";") || !reads(tokens) {
			return errNotReadOnly
		}
	}
	return nil
}

// hasInnerSemicolon says whether a statement has a semicolon before its end, also in a string or a comment. Where nothing
// may be written such a statement is refused: what ends a string is read differently by different databases, and a second
// statement could end the session that holds the first.
func hasInnerSemicolon(statement string) bool {
	return strings.Contains(strings.TrimRight(statement, " \t\r\n;"), ";")
}

// writing are reserved words that no reading statement has.
var writing = []string{
	"INSERT", "UPDATE", "DELETE", "MERGE", "UPSERT", "TRUNCATE", "DROP", "ALTER", "CREATE", "ATTACH", "DETACH", "VACUUM",
	"REINDEX", "GRANT", "REVOKE", "INTO", "EXECUTE", "EXEC", "CALL", "COMMIT", "ROLLBACK",
}

// reads says whether the words of a statement are those of one that only reads.
func reads(tokens []string) bool {
	switch tokens[0] {
	case "PRAGMA":
		return readsPragma(tokens[1:])
	case "EXPLAIN":
		if !explainsReading(tokens[1:]) {
			return false
		}
	case "SELECT", "WITH", "SHOW":
	default:
		return false
	}
	for i, token := range tokens {
		if slices.Contains(writing, token) {
			return false
		}
		// The function replace(…) reads; the statement does not.
		if token == "REPLACE" && (i+1 == len(tokens) || tokens[i+1] != "(") {
			return false
		}
	}
	return true
}

// explainsReading says whether what is explained, and with ANALYZE executed, only reads. Options stand before it.
func explainsReading(tokens []string) bool {
	depth := 0
	for _, token := range tokens {
		switch token {
		case "(":
			depth++
		case ")":
			depth--
		case "SELECT", "WITH":
			return true
		case "QUERY", "PLAN", "ANALYZE", "ANALYSE", "VERBOSE", "EXTENDED", "PARTITIONS", "FORMAT", "JSON", "TREE",
			"TRADITIONAL", "TEXT", "XML", "YAML", "=":
		default:
			if depth == 0 {
				return false
			}
		}
	}
	return false
}

// Pragmas that only read: with an argument, and without one.
var (
	readingPragmas = []string{
		"TABLE_INFO", "TABLE_XINFO", "TABLE_LIST", "INDEX_LIST", "INDEX_INFO", "INDEX_XINFO", "FOREIGN_KEY_LIST",
		"FOREIGN_KEY_CHECK", "INTEGRITY_CHECK", "QUICK_CHECK",
	}
	plainPragmas = []string{
		"DATABASE_LIST", "COLLATION_LIST", "FUNCTION_LIST", "MODULE_LIST", "PRAGMA_LIST", "COMPILE_OPTIONS",
		"USER_VERSION", "SCHEMA_VERSION", "APPLICATION_ID", "PAGE_COUNT", "PAGE_SIZE", "FREELIST_COUNT", "ENCODING",
		"JOURNAL_MODE", "FOREIGN_KEYS", "DATA_VERSION", "QUERY_ONLY",
	}
)

func readsPragma(tokens []string) bool {
	if len(tokens) > 2 && tokens[1] == "." {
		tokens = tokens[2:]
	}
	if len(tokens) == 0 || slices.Contains(tokens, "=") {
		return false
	}
	if slices.Contains(readingPragmas, tokens[0]) {
		return true
	}
	return len(tokens) == 1 && slices.Contains(plainPragmas, tokens[0])
}

// tokens are the words of a statement in capitals and its other characters, one by one, without comments. Strings and
// quoted names are a token that equals nothing.
func (d dialect) tokens(text string) []string {
	var tokens []string
	for at := 0; at < len(text); {
		rest := text[at:]
		char := rest[0]
		switch {
		case strings.IndexByte(" \t\r\n\f\v\x00", char) >= 0:
			at++
		case d.lineComment(rest):
			at += upTo(rest, "\n")
		case strings.HasPrefix(rest, "/*!"), strings.HasPrefix(rest, "/*M!"):
			at += len("/*!") // MySQL runs what is within
		case strings.HasPrefix(rest, "/*"):
			at += d.comment(rest)
		case strings.IndexByte(d.quotes, char) >= 0:
			escaped := d.backslash || d.dollar && len(tokens) > 0 && tokens[len(tokens)-1] == "E"
			at += quoted(rest, char, escaped)
			tokens = append(tokens, "''")
		case d.brackets && char == '[':
			at += upTo(rest, "]")
			tokens = append(tokens, "''")
		case d.dollar && char == '$' && dollarTag(rest) != "":
			tag := dollarTag(rest)
			at += len(tag) + upTo(rest[len(tag):], tag)
			tokens = append(tokens, "''")
		case wordChar(char):
			length := 1
			for length < len(rest) && wordChar(rest[length]) {
				length++
			}
			tokens = append(tokens, strings.ToUpper(rest[:length]))
			at += length
		default:
			tokens = append(tokens, rest[:1])
			at++
		}
	}
	return tokens
}

func (d dialect) lineComment(text string) bool {
	if d.hash && text[0] == '#' {
		return true
	}
	return strings.HasPrefix(text, "--") && (!d.hash || len(text) == 2 || text[2] <= ' ')
}

// upTo is the length up to and with an end; without one, all.
func upTo(text, end string) int {
	if found := strings.Index(text, end); found >= 0 {
		return found + len(end)
	}
	return len(text)
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
	for at := 1; at < len(text); at++ {
		if text[at] == '$' {
			return text[:at+1]
		}
		if !wordChar(text[at]) || at == 1 && text[at] >= '0' && text[at] <= '9' {
			return ""
		}
	}
	return ""
}

func wordChar(char byte) bool {
	return char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || char >= '0' && char <= '9' || char == '_' ||
		char >= 0x80
}
