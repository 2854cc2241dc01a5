/**
 * Which pictures our link does not carry, as the focus says it: Weir's `weir.call.paused`, always the full set. Pure.
 *
 * What cannot be read is left out: a picture that stands still is shown as it is.
 */
import { list, type Json } from "./json";

export const PAUSED = "weir.call.paused";

export interface Paused {
  /** Goes up with each change: one may overtake another. */
  readonly number: number;
  /** Of the lines that would carry them. */
  readonly mids: ReadonlySet<string>;
}

export const NOTHING_PAUSED: Paused = { number: 0, mids: new Set() };

/** What counts after another message. */
export function readPaused(content: Json, before: Paused): Paused {
  if (typeof content.number !== "number" || !(content.number > before.number)) return before;
  const mids = list(content.mids).filter((mid): mid is string => typeof mid === "string");
  return { number: content.number, mids: new Set(mids) };
}
