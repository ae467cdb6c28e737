const DECIMALS = 9;
const SHOWN_DECIMALS_MIN = 6;
const AMOUNT = /^[0-9]{1,54}(?:\.[0-9]{1,9})?$/;

/** An exact amount in nanocredits. @throws Error where the text is none. */
export function parseCredits(text: string): bigint {
  if (!isCredits(text)) throw new Error('must be a decimal text of credits with at most 9 decimals, such as "0.5"');
  const [whole, fraction = ""] = text.split(".");
  return BigInt(whole + fraction.padEnd(DECIMALS, "0"));
}

/** Whether a text is an amount. */
export function isCredits(text: unknown): text is string {
  return typeof text === "string" && AMOUNT.test(text);
}

/** The exact sum of two amounts; one that is none counts nothing. */
export function addCredits(sum: string, more: unknown): string {
  if (!isCredits(more)) return sum;
  const digits = (parseCredits(sum) + parseCredits(more)).toString().padStart(DECIMALS + 1, "0");
  const fraction = digits.slice(-DECIMALS).replace(/0+$/, "").padEnd(SHOWN_DECIMALS_MIN, "0");
  return `${digits.slice(0, -DECIMALS)}.${fraction}`;
}
