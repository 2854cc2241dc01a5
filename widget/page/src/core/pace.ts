/**
 * How many frames of our camera a call of so many people gets.
 *
 * Each of them decodes every other: in a large call half the frames, which a thumbnail does
 * not miss, leave laptops and small servers room for sound.
 */
const LARGE = 8;
const SMOOTH = 30;
const SPARING = 15;

export function framesPerSecond(people: number): number {
  return people < LARGE ? SMOOTH : SPARING;
}
