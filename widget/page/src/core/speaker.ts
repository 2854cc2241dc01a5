/**
 * Who is speaking, from levels: pure, with hysteresis so that a cough moves nothing.
 *
 * Who has the floor is the focus's to say where it does (Weir's `weir.call.speakers`): it hears those too of whom
 * nothing is sent to us.
 *
 * `now` is in milliseconds of any steady clock.
 */

import { list, type Json } from "./json";

/** Linear level (RFC 6464 scaled to 0..1) from which a voice counts: about -40 dBov. */
const LOUD = 0.01;
/** A voice must last this long before it takes the large tile, and the tile is held at least as long as HOLD. */
const TAKE = 700;
const HOLD = 2_500;
/** Pauses between words do not end an utterance. */
const PAUSE = 900;

export const SPEAKERS = "weir.call.speakers";

/** Ids of streams, in the order in which their owners had the floor. */
export function readSpeakers(content: Json): readonly string[] {
  return list(content.streams).filter((id): id is string => typeof id === "string");
}

interface Voice {
  readonly since: number;
  readonly last: number;
}

export interface Speech {
  readonly voices: ReadonlyMap<string, Voice>;
  /** Who has the floor; stays with the last speaker in silence. */
  readonly floor: string | undefined;
  readonly floorSince: number;
}

export const SILENCE: Speech = { voices: new Map(), floor: undefined, floorSince: 0 };

/**
 * Take one reading of all levels, by stream id. Streams that are not in it are gone.
 *
 * `told`: the speakers as the focus has them.
 */
export function hear(
  speech: Speech,
  levels: ReadonlyMap<string, number>,
  now: number,
  told: readonly string[] = [],
): Speech {
  const voices = new Map<string, Voice>();
  for (const [id, level] of levels) {
    const old = speech.voices.get(id);
    if (level >= LOUD) voices.set(id, { since: old?.since ?? now, last: now });
    else if (old && now - old.last < PAUSE) voices.set(id, old);
  }
  const floor = speech.floor !== undefined && levels.has(speech.floor) ? speech.floor : undefined;
  const theirs = told.find((id) => levels.has(id));
  if (theirs !== undefined) {
    const held = floor !== undefined && (theirs === floor || now - speech.floorSince < HOLD);
    return held ? { voices, floor, floorSince: speech.floorSince } : { voices, floor: theirs, floorSince: now };
  }
  const silent = floor === undefined || !voices.has(floor);
  if (floor !== undefined && (!silent || now - speech.floorSince < HOLD)) return { voices, floor, floorSince: speech.floorSince };
  const next = [...voices].filter(([, voice]) => now - voice.since >= TAKE).sort((a, b) => a[1].since - b[1].since)[0];
  return next ? { voices, floor: next[0], floorSince: now } : { voices, floor, floorSince: speech.floorSince };
}

/** Who is heard now. */
export function speaking(speech: Speech): ReadonlySet<string> {
  return new Set(speech.voices.keys());
}
