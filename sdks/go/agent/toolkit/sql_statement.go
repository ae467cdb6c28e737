package toolkit

import (
	"errors"
	"slices"
)

// statementBytesMax bounds a statement.
const statementBytesMax = 64 << 10

var (
	errEmptyStatement = errors.New("empty statement")
	errLongStatement  = errors.New("the statement is too long")
	errNotReadOnly    = errors.New("only read-only statements are allowed")
)

// checkReadOnly refuses what is not one statement that only reads, looking at it as each kind of database would, since none
// is known for sure. It is the first of two fences: the session is read-only, too.
func checkReadOnly(statement string) error {
	if len(statement) > statementBytesMax {
		return errLongStatement
	}
	for _, dialect := range dialects {
		tokens := dialect.tokens(statement)
		if len(tokens) > 0 && tokens[len(tokens)-1] == ";" {
			tokens = tokens[:len(tokens)-1]
		}
		if len(tokens) == 0 {
			return errEmptyStatement
		}
		if slices.Contains(tokens, ";") || slices.Contains(tokens, unclearToken) || !reads(tokens) {
			return errNotReadOnly
		}
	}
	return nil
}

// writing are words that no reading statement has: SQL Server begins a new one with them, without a sign between.
var writing = []string{
	"INSERT", "UPDATE", "DELETE", "MERGE", "UPSERT", "TRUNCATE", "DROP", "ALTER", "CREATE", "ATTACH", "DETACH", "VACUUM",
	"REINDEX", "GRANT", "REVOKE", "INTO", "EXECUTE", "EXEC", "CALL", "COMMIT", "ROLLBACK", "BACKUP",
	"RESTORE", "DBCC", "DENY", "KILL", "RECONFIGURE", "SHUTDOWN",
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
