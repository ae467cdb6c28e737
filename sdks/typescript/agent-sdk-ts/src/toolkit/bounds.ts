const TIMER_MS_MAX = 2 ** 31 - 1;

/** A bound as it was given; its default where that is none, so that no number takes a bound away by accident. */
export function boundOf(given: number | undefined, fallback: number): number {
  return given !== undefined && given > 0 ? given : fallback;
}

/**
 * Work for so many milliseconds at most, and no longer than another signal lasts. The work's own signal ends with
 * either; work that does not hear it is left alone, and what comes of it then is dropped.
 *
 * @throws Error with `expired` as its message, the reason of the other signal, or what the work throws.
 */
export async function withinTime<T>(
  ms: number,
  expired: string,
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => T | Promise<T>,
): Promise<T> {
  outer?.throwIfAborted();
  const controller = new AbortController();
  const { signal } = controller;
  const ended = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  const stop = (): void => controller.abort(outer?.reason);
  outer?.addEventListener("abort", stop, { once: true });
  const timer = setTimeout(() => controller.abort(new Error(expired)), Math.min(ms, TIMER_MS_MAX));
  try {
    return await Promise.race([work(signal), ended]);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener("abort", stop);
  }
}
