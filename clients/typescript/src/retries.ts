/** When a call is sent again: only after UNAVAILABLE, within its deadline and the budget of its client. */

import type { CallError } from "./errors.js";

/**
 * How often, and after how many milliseconds. `mostAttempts: 1` never sends anything again.
 *
 * The budget is gRPC's `retryThrottling` (gRFC A6): a bucket of `budgetTokens`, from which every UNAVAILABLE takes one
 * and to which every success returns `budgetRefill`. While it is not more than half full nothing is sent again, so that
 * clients do not hold down a server that is on its knees.
 */
export interface RetryPolicy {
  readonly mostAttempts: number;
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  readonly pauseGrowth: number;
  readonly budgetTokens: number;
  readonly budgetRefill: number;
}

export const DEFAULT_RETRIES: RetryPolicy = {
  mostAttempts: 5,
  firstPauseMs: 200,
  longestPauseMs: 5_000,
  pauseGrowth: 2,
  budgetTokens: 20,
  budgetRefill: 0.1,
};

const JITTER = 0.2;

/** What the calls of one client may spend together on being sent again. */
export class RetryBudget {
  #tokens: number;

  constructor(readonly policy: RetryPolicy) {
    if (!(policy.mostAttempts >= 1 && policy.budgetTokens > 0)) {
      throw new RangeError("mostAttempts must be at least 1, and budgetTokens above 0");
    }
    if (!(Math.min(policy.firstPauseMs, policy.longestPauseMs, policy.budgetRefill) >= 0 && policy.pauseGrowth >= 1)) {
      throw new RangeError("pauses and budgetRefill must not be negative, and pauseGrowth at least 1");
    }
    this.#tokens = policy.budgetTokens;
  }

  /** A call was answered with OK. */
  succeeded(): void {
    this.#tokens = Math.min(this.policy.budgetTokens, this.#tokens + this.policy.budgetRefill);
  }

  /** A call met no server. Whether one may be sent again. */
  failed(): boolean {
    this.#tokens = Math.max(0, this.#tokens - 1);
    return this.#tokens > this.policy.budgetTokens / 2;
  }
}

/** The attempts of one call, which share its deadline. */
export class Attempts {
  readonly #budget: RetryBudget;
  readonly #most: number;
  readonly #end: number;
  #failures = 0;

  constructor(budget: RetryBudget, timeoutMs: number, isRepeatable: boolean) {
    this.#budget = budget;
    this.#most = isRepeatable ? budget.policy.mostAttempts : 1;
    this.#end = performance.now() + timeoutMs;
  }

  /** Milliseconds until the deadline of the call, at least 1: Connect takes 0 for none. */
  get remainingMs(): number {
    return Math.max(1, Math.ceil(this.#end - performance.now()));
  }

  /** It was answered with OK. */
  succeeded(): void {
    this.#budget.succeeded();
  }

  /**
   * Milliseconds after which to send it again, never sooner than the server asks for; undefined to leave it at the error.
   *
   * A stream that `hasBegun` to be answered is never sent again, as its first events would come twice.
   */
  pauseAfter(error: CallError, hasBegun = false): number | undefined {
    if (error.code !== "UNAVAILABLE") return undefined;
    this.#failures += 1;
    const isWithinBudget = this.#budget.failed();
    if (hasBegun || !isWithinBudget || this.#failures >= this.#most) return undefined;
    const { firstPauseMs, longestPauseMs, pauseGrowth } = this.#budget.policy;
    const grown = Math.min(longestPauseMs, firstPauseMs * pauseGrowth ** (this.#failures - 1));
    const asked = error.retryAfterMs ?? 0;
    const pause =
      asked >= grown ? asked * (1 + JITTER * Math.random()) : grown * (1 - JITTER + 2 * JITTER * Math.random());
    return Math.max(asked, pause) < this.#end - performance.now() ? Math.max(asked, pause) : undefined;
  }
}
