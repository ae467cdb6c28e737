/** Shorter ones are words of a test, and would make holes in every text. */
const SECRET_CHARACTERS_MIN = 8;

/** The text without the secret, which a server may have sent back. */
export function withoutSecret(text: string, secret: string | undefined): string {
  if (secret === undefined || secret.length < SECRET_CHARACTERS_MIN) return text;
  return text.split(secret).join("[api key]");
}

/** Headers whose values do not have the secret. */
export function headersWithoutSecret(headers: Headers, secret: string | undefined): Headers {
  const clean = new Headers();
  headers.forEach((value, name) => clean.append(name, withoutSecret(value, secret)));
  return clean;
}
