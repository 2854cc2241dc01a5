/**
 * Reading values of unknown shape: JSON from a homeserver, a focus or a file.
 *
 * Nothing here throws. What is not of the asked type reads as `undefined`, so that each
 * caller decides what a missing field means.
 */

export type Json = Readonly<Record<string, unknown>>;

/** The value as an object, `undefined` for arrays, null and everything else. */
export function object(value: unknown): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

/** The value as a list; anything else is an empty one. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The objects in a list. */
export function objects(value: unknown): readonly Json[] {
  return list(value).map(object).filter((one): one is Json => one !== undefined);
}

/** The value as a string with at least one character. */
export function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** The value as a finite number. */
export function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** JSON text to an object; `undefined` when it is not one. */
export function parseObject(source: unknown): Json | undefined {
  if (typeof source !== "string") return undefined;
  try {
    return object(JSON.parse(source));
  } catch {
    return undefined;
  }
}
