/** The kept login belongs to one tab; asked for again, a tab that has it still has it. */
import { takeLogin } from "../matrix/login";

let holding: Promise<boolean> | undefined;

export function holdLogin(): Promise<boolean> {
  holding ??= takeLogin().then((taken) => {
    if (!taken) holding = undefined;
    return taken;
  });
  return holding;
}
