/** Shorter ones are words of a test, and would make holes in every text. */
const SECRET_CHARACTERS_MIN = 8;
/** How far the causes of an error are followed. */
const CAUSES_MAX = 8;

function isIn(text: string, secret: string | undefined): secret is string {
  return secret !== undefined && secret.length >= SECRET_CHARACTERS_MIN && text.includes(secret);
}

/** The text without the secret, which a server may have sent back. */
export function withoutSecret(text: string, secret: string | undefined): string {
  return isIn(text, secret) ? text.split(secret).join("[api key]") : text;
}

/** Headers whose values do not have the secret. */
export function headersWithoutSecret(headers: Headers, secret: string | undefined): Headers {
  const clean = new Headers();
  headers.forEach((value, name) => clean.append(name, withoutSecret(value, secret)));
  return clean;
}

/** What was behind an error; undefined where it, or what was behind that, tells the secret. */
export function causeWithoutSecret(cause: unknown, secret: string | undefined): unknown {
  let one = cause;
  for (let depth = 0; depth < CAUSES_MAX && one instanceof Error; depth++) {
    if (isIn(`${one.message} ${one.stack}`, secret)) return undefined;
    one = one.cause;
  }
  return typeof one === "string" && isIn(one, secret) ? undefined : cause;
}
