/** Keys of the call: one letter for each act that has one, Escape to unpin. Not while somebody types or chooses. */
import { useEffect, useRef } from "react";
import type { Act } from "./acts";

const ELSEWHERE = "input, textarea, select, [contenteditable], [role=dialog], [role=menu]";

export function useKeys(acts: readonly Act[], unpin: () => void): void {
  const newest = useRef({ acts, unpin });
  useEffect(() => {
    newest.current = { acts, unpin };
  });
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target instanceof Element && event.target.closest(ELSEWHERE)) return;
      if (event.key === "Escape") return newest.current.unpin();
      newest.current.acts.find((act) => act.hotkey === event.key.toLowerCase())?.run();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
