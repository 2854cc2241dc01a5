/** Seeded numbers for properties: the same on every run (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** `count` runs, each with numbers of its own. */
export function runs(count: number): (() => number)[] {
  return Array.from({ length: count }, (_, seed) => chance(seed + 1));
}

/** A whole number in [least, most]. */
export function whole(next: () => number, least: number, most: number): number {
  return least + Math.floor(next() * (most - least + 1));
}

/** What JSON can hold where something else was expected. */
export const ODD: readonly unknown[] = [undefined, null, true, 0, -1, 1.5, Number.NaN, "", "word", [], [[]], {}, { a: 1 }];
