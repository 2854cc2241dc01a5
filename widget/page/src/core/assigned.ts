/**
 * What lines carry that were ready before anybody knew for what: Weir's `weir.call.assigned`. Pure.
 *
 * The focus makes some lines ready for those who say that they take them, so that who comes costs
 * no negotiation. Their descriptions name a stream and a track that nobody has.
 */
import { object, text, type Json } from "./json";

export const ASSIGNED = "weir.call.assigned";
/** Says that we take such lines. */
export const SPARES_TAKEN = "weir.call.spares_taken";

export interface Named {
  readonly streamId: string;
  readonly trackId: string;
}

/** By the track id in the line's description. */
export type Assigned = ReadonlyMap<string, Named>;

export const NOTHING_ASSIGNED: Assigned = new Map();

/** What counts after another message: each tells what is new. */
export function readAssigned(content: Json, before: Assigned): Assigned {
  const found = new Map(before);
  for (const [line, words] of Object.entries(object(content.tracks) ?? {})) {
    const [streamId, trackId] = [text(object(words)?.stream_id), text(object(words)?.track_id)];
    if (streamId && trackId) found.set(line, { streamId, trackId });
  }
  return found;
}
