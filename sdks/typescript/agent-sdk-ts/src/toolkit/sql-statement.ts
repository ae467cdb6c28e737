/** How one family of databases reads text: a statement is taken apart by each of them, since none is known for sure. */
interface Dialect {
  /** Characters that quote strings and names. */
  quotes: string;
  /** Those of the quotes within which a backslash escapes. */
  backslash?: string;
  /** `[a name]`. */
  brackets?: boolean;
  /** `$tag$a string$tag$`, `E'a string with \''`, and names with a `$` that begins no string: `a$$`. */
  dollar?: boolean;
  /** Comments within comments. */
  nested?: boolean;
  /** Comments from `#` to the end of the line, and from `--` only before white space. */
  hash?: boolean;
}

const DIALECTS: readonly Dialect[] = [
  { quotes: "'\"`", brackets: true }, // SQLite
  { quotes: "'\"", dollar: true, nested: true }, // PostgreSQL
  { quotes: "'\"`", backslash: "'\"", hash: true }, // MySQL
  { quotes: "'\"", backslash: "'", dollar: true }, // PostgreSQL with backslashes in plain strings
  { quotes: "'\"`", hash: true }, // MySQL without backslashes
  { quotes: "'\"", brackets: true, nested: true }, // SQL Server
];
const STATEMENT_CHARS_MAX = 64 << 10;
const STRING = "''";
const WORD = /[\w\u0080-\uffff]+/y;
const DOLLAR_WORD = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|[0-9]+/y;
const DOLLAR_TAG = /\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
const WRITING = new Set(
  (
    "INSERT UPDATE DELETE MERGE UPSERT TRUNCATE DROP ALTER CREATE ATTACH DETACH VACUUM REINDEX GRANT REVOKE INTO " +
    "EXECUTE EXEC CALL COMMIT ROLLBACK"
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

/** Look at a statement as each kind of database would. */
export function kindOfStatement(sql: string): StatementKind {
  if (sql.length > STATEMENT_CHARS_MAX) return "long";
  for (const dialect of DIALECTS) {
    const tokens = tokensOf(dialect, sql);
    if (tokens.at(-1) === ";") tokens.pop();
    if (tokens.length === 0) return "empty";
    if (tokens.includes(";") || !reads(tokens)) return "other";
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

/** The words and signs of a text, words in upper case, a string or a quoted name as `''`. */
function tokensOf(dialect: Dialect, text: string): string[] {
  const tokens: string[] = [];
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at, at + 2);
    const [char = ""] = rest;
    const word = matchAt(dialect.dollar === true ? DOLLAR_WORD : WORD, text, at);
    const tag = dialect.dollar === true ? matchAt(DOLLAR_TAG, text, at) : undefined;
    if (/[\s\0]/.test(char)) at += 1;
    else if (isLineComment(dialect, text, at)) at = endOf(text, "\n", at);
    else if (text.startsWith("/*!", at) || text.startsWith("/*M!", at)) at += 3; // MySQL runs what is within
    else if (rest === "/*") at = endOfComment(dialect, text, at);
    else if (dialect.quotes.includes(char)) {
      at = endOfQuoted(text, at, isEscaped(dialect, text, at, tokens.at(-1)));
      tokens.push(STRING);
    } else if (dialect.brackets === true && char === "[") {
      at = endOf(text, "]", at);
      tokens.push(STRING);
    } else if (tag !== undefined) {
      at = endOf(text, tag, at + tag.length);
      tokens.push(STRING);
    } else if (word !== undefined) {
      tokens.push(word.toUpperCase());
      at += word.length;
    } else {
      tokens.push(char);
      at += 1;
    }
  }
  return tokens;
}

/** What a sticky pattern finds right at a place. */
function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** Whether backslashes escape within what is quoted from a place on; `E` says so only right before it. */
function isEscaped({ backslash = "", dollar }: Dialect, text: string, at: number, before: string | undefined): boolean {
  const quote = text[at] ?? "";
  const marked = dollar === true && quote === "'" && before === "E" && /e/i.test(text[at - 1] ?? "");
  return marked || backslash.includes(quote);
}

function isLineComment({ hash }: Dialect, text: string, at: number): boolean {
  if (hash === true && text[at] === "#") return true;
  return text.startsWith("--", at) && (hash !== true || at + 2 >= text.length || (text[at + 2] ?? "") <= " ");
}

/** Where a mark ends that is looked for from a place on; the end of the text where there is none. */
function endOf(text: string, mark: string, from: number): number {
  const found = text.indexOf(mark, from);
  return found < 0 ? text.length : found + mark.length;
}

function endOfComment({ nested }: Dialect, text: string, from: number): number {
  if (nested !== true) return endOf(text, "*/", from + 2);
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    if (text.startsWith("/*", at)) {
      depth += 1;
      at += 1;
    } else if (text.startsWith("*/", at)) {
      depth -= 1;
      at += 1;
      if (depth === 0) return at + 1;
    }
  }
  return text.length;
}

function endOfQuoted(text: string, from: number, backslash: boolean): number {
  const quote = text[from];
  for (let at = from + 1; at < text.length; at += 1) {
    if (backslash && text[at] === "\\") at += 1;
    else if (text[at] === quote && text[at + 1] === quote) at += 1;
    else if (text[at] === quote) return at + 1;
  }
  return text.length;
}
