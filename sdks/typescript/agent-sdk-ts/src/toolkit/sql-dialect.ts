/**
 * How one kind of database parts a text into words, strings and comments. Each is as exact as its database: whichever
 * is asked, one of them sees what it sees.
 */
interface Dialect {
  /** Characters that quote strings and names. */
  quotes: string;
  /** Those of the quotes within which a backslash escapes. */
  backslash?: string;
  /** `[a name]`; whether `]]` is a bracket within it. */
  brackets?: "plain" | "doubled";
  /** `$tag$a string$tag$`, `E'a string with \''`, and names with a `$` that begins no string: `a$$`. */
  dollar?: boolean;
  /** `$name(anything)` is a parameter, and a name may have a `$`. */
  parameters?: boolean;
  /** Comments within comments. */
  nested?: boolean;
  /** Comments from `#` to the end of the line, and from `--` only before white space; `/*!` begins no comment. */
  hash?: boolean;
}

export const DIALECTS: readonly Dialect[] = [
  { quotes: "'\"`", brackets: "plain", parameters: true }, // SQLite
  { quotes: "'\"", dollar: true, nested: true }, // PostgreSQL
  { quotes: "'\"", backslash: "'", dollar: true, nested: true }, // PostgreSQL with backslashes in plain strings
  { quotes: "'\"`", backslash: "'\"", hash: true }, // MySQL
  { quotes: "'\"`", backslash: "'", hash: true }, // MySQL with names in double quotes
  { quotes: "'\"`", hash: true }, // MySQL without backslashes
  { quotes: "'\"", brackets: "doubled", nested: true }, // SQL Server
];
/** What a string or a quoted name becomes; one with `E` apart, since the next line may go on with it. */
const STRING = "''";
const ESCAPED_STRING = "E''";
/** What databases read in different ways, so that no statement needs it. No word and no sign equals it. */
export const UNCLEAR = "\0";

const WORD = /[\w\u0080-\uffff]+/y;
const DOLLAR_WORD = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|[0-9]+/y;
const DOLLAR_TAG = /\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
const PARAMETER = /[$@#:](?:[\w$\u0080-\uffff]|::)+(?:\([^ \t-\r)]*\)?)?/y;
const SPACE = /[ \t\r\n\f\v\0]+/y;
/** White space to some databases, and part of a name to others. */
const ODD_SPACE = /[^\S \t\r\n\f\v]|\u0085/;

/** The words and signs of a text, words in upper case. */
export function tokensOf(dialect: Dialect, text: string): string[] {
  const tokens: string[] = [];
  for (let at = 0; at < text.length; ) {
    const space = matchAt(SPACE, text, at);
    const [end, token] = space === undefined ? next(dialect, text, at, tokens.at(-1)) : [at + space.length];
    if (token !== undefined) tokens.push(token);
    at = end;
  }
  return tokens;
}

/** Where what stands at a place ends, and its token; a comment has none. */
function next(dialect: Dialect, text: string, at: number, before: string | undefined): [number, string?] {
  const char = text[at] ?? "";
  const { dollar = false, parameters = false } = dialect;
  const word = matchAt(dollar || parameters ? DOLLAR_WORD : WORD, text, at);
  const tag = dollar ? matchAt(DOLLAR_TAG, text, at) : undefined;
  const parameter = parameters ? matchAt(PARAMETER, text, at) : undefined;
  if (isLineComment(dialect, text, at)) return lineComment(text, at);
  if (dialect.hash === true && /^\/\*M?!/.test(text.slice(at, at + 4))) return [at + 3, UNCLEAR]; // it may be run
  if (text.startsWith("/*", at)) return [endOfComment(dialect, text, at)];
  if (dialect.quotes.includes(char)) {
    const marked = isMarked(dialect, text, at, before);
    const escapes = marked || (dialect.backslash ?? "").includes(char);
    return [endOfQuoted(text, at, char, escapes), marked ? ESCAPED_STRING : STRING];
  }
  if (char === "[" && dialect.brackets === "plain") return [endOf(text, "]", at), STRING];
  if (char === "[" && dialect.brackets === "doubled") return [endOfQuoted(text, at, "]", false), STRING];
  if (tag !== undefined) return [endOf(text, tag, at + tag.length), STRING];
  if (parameter !== undefined) return [at + parameter.length, STRING];
  if (word !== undefined) return [at + word.length, ODD_SPACE.test(word) ? UNCLEAR : word.toUpperCase()];
  return [at + 1, char];
}

/** What a sticky pattern finds right at a place. */
function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** Where a mark ends that is looked for from a place on; the end of the text where there is none. */
function endOf(text: string, mark: string, from: number): number {
  const found = text.indexOf(mark, from);
  return found < 0 ? text.length : found + mark.length;
}

function isLineComment({ hash }: Dialect, text: string, at: number): boolean {
  if (hash === true && text[at] === "#") return true;
  return text.startsWith("--", at) && (hash !== true || /^[\0- \x7f]?$/.test(text.slice(at + 2, at + 3)));
}

/** A carriage return alone ends a line for some databases, and for others not. */
function lineComment(text: string, at: number): [number, string?] {
  const end = endOf(text, "\n", at);
  return /\r(?!\n)/.test(text.slice(at, end)) ? [end, UNCLEAR] : [end];
}

/** Whether `E` right before a string says that backslashes escape in it, or in the string that it goes on with. */
function isMarked({ dollar }: Dialect, text: string, at: number, before: string | undefined): boolean {
  if (dollar !== true || text[at] !== "'") return false;
  return before === ESCAPED_STRING || (before === "E" && /e/i.test(text[at - 1] ?? ""));
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

function endOfQuoted(text: string, from: number, quote: string, backslash: boolean): number {
  for (let at = from + 1; at < text.length; at += 1) {
    if (backslash && text[at] === "\\") at += 1;
    else if (text[at] === quote && text[at + 1] === quote) at += 1;
    else if (text[at] === quote) return at + 1;
  }
  return text.length;
}
