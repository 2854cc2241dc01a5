/**
 * When to dial again, and when not to: pure policy over why a leg ended.
 *
 * Everything that may heal is tried for ever, with waits that grow to half a minute.
 * What cannot heal without a person ends with a problem that the page explains.
 */

/** Why a leg to the focus ended or was refused. */
export type Ending =
  | { readonly kind: "hangup"; readonly reason: string }
  | { readonly kind: "rejected"; readonly reason: string }
  | { readonly kind: "unanswered" }
  | { readonly kind: "media"; readonly detail: string }
  | { readonly kind: "signalling"; readonly detail: string };

/** A problem that ends the call until the person does something. */
export type Fatal = "banned" | "serverDenied" | "replaced" | "otherDevice";

export type Verdict = { readonly again: true; readonly wait: number } | { readonly again: false; readonly fatal: Fatal };

const FIRST_WAITS = [0, 500, 1000, 2000, 4000, 8000, 16_000];
const LONGEST_WAIT = 30_000;
/** A full focus is not asked at once: each knock costs it work. */
const BUSY_WAIT = 5_000;

/**
 * What to do after `attempt` failures in a row (0 for the first), `chance` in [0, 1).
 *
 * The wait varies by a quarter either way, so that a restarted focus is not met by all at once.
 */
export function verdict(ending: Ending, attempt: number, chance: number): Verdict {
  if (ending.kind === "rejected") {
    if (ending.reason === "banned") return { again: false, fatal: "banned" };
    if (ending.reason === "server_acl") return { again: false, fatal: "serverDenied" };
    if (ending.reason === "device") return { again: false, fatal: "otherDevice" };
  }
  if (ending.kind === "hangup" && ending.reason === "replaced") return { again: false, fatal: "replaced" };
  const first = FIRST_WAITS[attempt] ?? LONGEST_WAIT;
  const busy = "reason" in ending && ending.reason === "user_busy" ? BUSY_WAIT : 0;
  const wait = Math.max(Math.min(first, LONGEST_WAIT), busy);
  return { again: true, wait: Math.round(wait * (0.75 + chance / 2)) };
}

/** Milliseconds that a leg must be live before the count of failures starts anew. */
export const SETTLED = 2_000;

/** Milliseconds without an answer to an invite. */
export const ANSWER_TIMEOUT = 10_000;

/** Milliseconds of ICE "disconnected" that may heal by itself. */
export const DISCONNECTED_GRACE = 4_000;

/**
 * Milliseconds from a change of network until its path must be there. A browser may look for paths before it knows of
 * the new one, and not look again by itself.
 */
export const SEARCH_TIMEOUT = 1_200;

/** Milliseconds that an offer of ours may stay unanswered on the data channel. */
export const OFFER_TIMEOUT = 8_000;

/** Milliseconds from the answer until media and data channel must be up. */
export const CONNECT_TIMEOUT = 15_000;

const SHORTEST_SILENCE = 15_000;

/** How long a focus may be silent: three of the longest pauses between its pings that we saw, 15 s at least. */
export function longestSilence(longestPause: number): number {
  return Math.max(SHORTEST_SILENCE, 3 * longestPause);
}
