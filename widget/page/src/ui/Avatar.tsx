/** Initials on a colour that stays with the user, where no picture is shown. */
import { initials, shade } from "./tiles";

const SHADES = 8;

export function Avatar({ userId, name }: { readonly userId: string; readonly name: string }) {
  return (
    <span className="avatar" data-shade={shade(userId, SHADES)} aria-hidden="true">
      {initials(name)}
    </span>
  );
}
