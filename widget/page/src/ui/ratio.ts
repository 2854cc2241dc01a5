/**
 * How large a picture is in its box: pure geometry in CSS pixels.
 *
 * Whoever wants sharp pictures asks for the size that is painted, not for the box around it.
 */
import type { Size } from "../core/vocabulary";

export const WIDE = 16 / 9;
const COMMON = [WIDE, 16 / 10, 4 / 3, 1, 3 / 4, 9 / 16];
/** Layers of one capture differ by rounding; that must not move a tile. */
const SAME = 0.02;

/** Width over height of a picture, or `undefined` while its size is not known. */
export function ratioOf(size: Size | undefined): number | undefined {
  if (!size || !(size.width > 0) || !(size.height > 0)) return undefined;
  const ratio = size.width / size.height;
  return COMMON.find((common) => Math.abs(ratio / common - 1) < SAME) ?? Math.round(ratio * 50) / 50;
}

/** The largest picture of this ratio that is wholly inside the box. */
export function contained(ratio: number, box: Size): Size {
  const width = Math.min(box.width, box.height * ratio);
  return { width: Math.round(width), height: Math.round(width / ratio) };
}

/** The smallest picture of this ratio that fills the box; what stands out is cut off. */
export function covering(ratio: number, box: Size): Size {
  const width = Math.max(box.width, box.height * ratio);
  const height = width / ratio;
  // A box of whole pixels is never exactly 16:9: a pixel over is no larger picture.
  if (width - box.width < 1.5 && height - box.height < 1.5) return box;
  return { width: Math.round(width), height: Math.round(height) };
}
