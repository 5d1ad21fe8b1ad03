/** Waiting that a signal can end. */

/** What is waited for; once one of the signals is aborted, its reason is thrown instead. */
export async function unlessAborted<T>(awaited: Promise<T>, ...signals: (AbortSignal | undefined)[]): Promise<T> {
  const heard = new AbortController(); // AbortSignal.any would leave something behind in a signal that lives long
  const aborted = new Promise<never>((_, reject) => {
    for (const each of signals) {
      each?.addEventListener("abort", () => reject(each.reason), { signal: heard.signal });
      if (each?.aborted) reject(each.reason);
    }
  });
  return Promise.race([aborted, awaited]).finally(() => heard.abort());
}
