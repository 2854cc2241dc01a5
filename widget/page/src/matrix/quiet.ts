/** The SDK's log, reduced to warnings and errors: its lines name users and rooms. */
import type { Logger } from "matrix-js-sdk/lib/logger";

export const quiet: Logger = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: (...words: unknown[]) => console.warn(...words),
  error: (...words: unknown[]) => console.error(...words),
  getChild: () => quiet,
};
