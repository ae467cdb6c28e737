import { DIALECTS, tokensOf, UNCLEAR } from "./sql-dialect.js";

const STATEMENT_CHARS_MAX = 64 << 10;
/** Words that no reading statement has: SQL Server begins a new one with them, without a sign between. */
const WRITING = new Set(
  (
    "INSERT UPDATE DELETE MERGE UPSERT TRUNCATE DROP ALTER CREATE ATTACH DETACH VACUUM REINDEX GRANT REVOKE INTO " +
    "EXECUTE EXEC CALL COMMIT ROLLBACK BACKUP RESTORE DBCC DENY KILL RECONFIGURE SHUTDOWN"
  ).split(" "),
);
const EXPLAINING = new Set(
  "QUERY PLAN ANALYZE ANALYSE VERBOSE EXTENDED PARTITIONS FORMAT JSON TREE TRADITIONAL TEXT XML YAML =".split(" "),
);
/** Pragmas that read, whatever their argument; and those that read without one. */
const READING_PRAGMAS = new Set(
  (
    "TABLE_INFO TABLE_XINFO TABLE_LIST INDEX_LIST INDEX_INFO INDEX_XINFO FOREIGN_KEY_LIST FOREIGN_KEY_CHECK " +
    "INTEGRITY_CHECK QUICK_CHECK"
  ).split(" "),
);
const PLAIN_PRAGMAS = new Set(
  (
    "DATABASE_LIST COLLATION_LIST FUNCTION_LIST MODULE_LIST PRAGMA_LIST COMPILE_OPTIONS USER_VERSION SCHEMA_VERSION " +
    "APPLICATION_ID PAGE_COUNT PAGE_SIZE FREELIST_COUNT ENCODING JOURNAL_MODE FOREIGN_KEYS DATA_VERSION QUERY_ONLY"
  ).split(" "),
);

/** What a statement is: nothing at all, one statement that only reads, too long to be looked at, or anything else. */
export type StatementKind = "empty" | "reading" | "long" | "other";

/** Look at a statement as each kind of database would, since none is known for sure. */
export function kindOfStatement(sql: string): StatementKind {
  if (sql.length > STATEMENT_CHARS_MAX) return "long";
  for (const dialect of DIALECTS) {
    const tokens = tokensOf(dialect, sql);
    if (tokens.at(-1) === ";") tokens.pop();
    if (tokens.length === 0) return "empty";
    if (tokens.includes(";") || tokens.includes(UNCLEAR) || !reads(tokens)) return "other";
  }
  return "reading";
}

/** Whether a text is one statement that only reads, by its words: whatever database reads it. */
export function isReadOnlyStatement(sql: string): boolean {
  return kindOfStatement(sql) === "reading";
}

function reads(tokens: string[]): boolean {
  const [first = "", ...rest] = tokens;
  if (first === "PRAGMA") return readsPragma(rest);
  if (first === "EXPLAIN" ? !explainsReading(rest) : !["SELECT", "WITH", "SHOW"].includes(first)) return false;
  // The function replace(…) reads; the statement does not.
  return tokens.every((token, at) => !WRITING.has(token) && (token !== "REPLACE" || tokens[at + 1] === "("));
}

function explainsReading(tokens: string[]): boolean {
  let depth = 0;
  for (const token of tokens) {
    if (token === "SELECT" || token === "WITH") return true;
    if (token === "(") depth += 1;
    else if (token === ")") depth -= 1;
    else if (!EXPLAINING.has(token) && depth === 0) return false;
  }
  return false;
}

function readsPragma(given: string[]): boolean {
  const tokens = given[1] === "." ? given.slice(2) : given;
  const [name = ""] = tokens;
  if (tokens.includes("=")) return false;
  return READING_PRAGMAS.has(name) || (tokens.length === 1 && PLAIN_PRAGMAS.has(name));
}
