/**
 * What we ask the focus to send: all sound, and the pictures that are seen, in the size seen.
 *
 * Pure. The message is the whole picture each time, so sending it twice changes nothing
 * (MSC3898 track subscription: delta semantics, subscribe again to change a size).
 */
import type { Size, StreamInfo } from "./vocabulary";

export interface Want {
  readonly stream_id: string;
  readonly track_id: string;
  readonly width?: number;
  readonly height?: number;
  /** Somebody chose to look at this one. Weir's own. */
  readonly "weir.pinned"?: true;
}

export interface Subscription {
  readonly subscribe: readonly Want[];
  readonly unsubscribe: readonly Want[];
}

/** Milliseconds that layout may move before we tell the focus; growing and appearing go at once. */
export const DEBOUNCE = 150;

/**
 * Milliseconds that the sound of who comes waits for the tile of its picture, so that both are asked for at once: what
 * the focus negotiates line by line costs a round trip each.
 */
export const LAYOUT = 100;

/** Nobody sees more pixels than these; a larger wish only costs bandwidth. */
const MOST: Size = { width: 1920, height: 1080 };
const MOST_DENSITY = 2;
/** Widths are rounded up to this many pixels, so that dragging a window edge is not a message a pixel. */
const STEP = 16;

/** A tile's size in CSS pixels to the size that we ask for. */
export function wantedSize(css: Size, density: number): Size {
  const scale = Math.min(Math.max(density, 1), MOST_DENSITY);
  if (css.width <= 0 || css.height <= 0) return { width: 0, height: 0 };
  const width = Math.ceil((css.width * scale) / STEP) * STEP;
  // The height follows in proportion: rounded by itself it would ask for a layer more than is seen.
  const height = (css.height / css.width) * width;
  const fit = Math.min(1, MOST.width / width, MOST.height / height);
  return { width: Math.round(width * fit), height: Math.round(height * fit) };
}

/** Everything wanted now. `shown`: the size of each visible picture, by stream id; `pinned`: one of them. */
export function wants(streams: readonly StreamInfo[], shown: ReadonlyMap<string, Size>, pinned?: string): Want[] {
  return streams.flatMap((stream) =>
    stream.tracks.flatMap((track): Want[] => {
      const name = { stream_id: stream.id, track_id: track.id };
      if (track.kind === "audio") return [name];
      const size = shown.get(stream.id);
      if (!size || size.width <= 0 || size.height <= 0) return [];
      return [{ ...name, ...size, ...(stream.id === pinned && { "weir.pinned": true }) }];
    }),
  );
}

/** The message that moves the focus from what was told last to what is wanted; `undefined` when nothing moves. */
export function change(told: readonly Want[], wanted: readonly Want[], streams: readonly StreamInfo[]): Subscription | undefined {
  const before = new Map(told.map((want) => [key(want), want]));
  const after = new Map(wanted.map((want) => [key(want), want]));
  const published = new Set(streams.flatMap((s) => s.tracks.map((t) => key({ stream_id: s.id, track_id: t.id }))));
  const dropped = told.filter((want) => !after.has(key(want)) && published.has(key(want)));
  const moved = wanted.some((want) => !alike(before.get(key(want)), want));
  if (!moved && dropped.length === 0) return undefined;
  return {
    subscribe: wanted,
    unsubscribe: dropped.map(({ stream_id, track_id }) => ({ stream_id, track_id })),
  };
}

/** Whether who comes has a picture that no tile is known of yet. */
export function awaitsLayout(told: readonly Want[], streams: readonly StreamInfo[], shown: ReadonlyMap<string, Size>): boolean {
  const known = new Set(told.map((want) => want.stream_id));
  return streams.some(
    (stream) => !known.has(stream.id) && !shown.has(stream.id) && stream.tracks.some((track) => track.kind === "video"),
  );
}

/** Whether a person would notice waiting: something appears or grows. */
export function isUrgent(told: readonly Want[], wanted: readonly Want[]): boolean {
  const before = new Map(told.map((want) => [key(want), want]));
  return wanted.some((want) => {
    const old = before.get(key(want));
    return !old || (want.width ?? 0) > (old.width ?? 0) * 1.2;
  });
}

function key(want: Want): string {
  return `${want.stream_id}\n${want.track_id}`;
}

function alike(a: Want | undefined, b: Want): boolean {
  return a !== undefined && a.width === b.width && a.height === b.height && a["weir.pinned"] === b["weir.pinned"];
}
