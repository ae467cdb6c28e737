const DEPTH_MAX = 1000;
const WHITE_SPACE = /[ \t-\r]/;
const NUMBER_CHARACTER = /[0-9.]/;
const NUMBER = /^(?:\d+(?:\.\d*)?|\.\d+)$/;

/**
 * The value of an arithmetic expression: + - * / %, signs, parentheses and decimals.
 *
 * @throws Error where it is no expression, divides by zero, or its value is beyond a number; the message says where.
 */
export function evalExpression(input: string): number {
  const reader = new ExpressionReader(input);
  return reader.read();
}

/** Reads by recursive descent: a sum of products of factors. */
class ExpressionReader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): number {
    if (this.#peek() === "") throw new Error("empty expression");
    const value = this.#sum();
    const rest = this.#peek();
    if (rest !== "") {
      const character = String.fromCodePoint(this.#text.codePointAt(this.#at) ?? 0);
      throw new Error(`unexpected character ${JSON.stringify(character)} at position ${this.#at}`);
    }
    if (!Number.isFinite(value)) throw new Error("the result is too large");
    return value;
  }

  /** The next character that is no white space; empty at the end. */
  #peek(): string {
    while (WHITE_SPACE.test(this.#text.charAt(this.#at))) this.#at++;
    return this.#text.charAt(this.#at);
  }

  #take(characters: string): string {
    const next = this.#peek();
    if (next === "" || !characters.includes(next)) return "";
    this.#at++;
    return next;
  }

  #sum(): number {
    let value = this.#product();
    for (;;) {
      const operator = this.#take("+-");
      if (operator === "") return value;
      const other = this.#product();
      value = operator === "+" ? value + other : value - other;
    }
  }

  #product(): number {
    let value = this.#factor();
    for (;;) {
      const operator = this.#take("*/%");
      if (operator === "") return value;
      const other = this.#factor();
      if (other === 0 && operator === "/") throw new Error("division by zero");
      if (other === 0 && operator === "%") throw new Error("modulo by zero");
      value = operator === "*" ? value * other : operator === "/" ? value / other : value % other;
    }
  }

  #factor(): number {
    if (++this.#depth > DEPTH_MAX) throw new Error(`the expression is nested more than ${DEPTH_MAX} deep`);
    try {
      switch (this.#take("+-(")) {
        case "+":
          return this.#factor();
        case "-":
          return -this.#factor();
        case "(":
          return this.#parenthesis();
        default:
          return this.#number();
      }
    } finally {
      this.#depth--;
    }
  }

  #parenthesis(): number {
    const value = this.#sum();
    if (this.#take(")") === "") throw new Error(`expected ')' at position ${this.#at}`);
    return value;
  }

  #number(): number {
    this.#peek();
    const start = this.#at;
    while (NUMBER_CHARACTER.test(this.#text.charAt(this.#at))) this.#at++;
    const digits = this.#text.slice(start, this.#at);
    if (digits === "") throw new Error(`expected number at position ${start}`);
    if (!NUMBER.test(digits)) throw new Error(`invalid number ${JSON.stringify(digits.slice(0, 40))}`);
    return Number(digits);
  }
}
