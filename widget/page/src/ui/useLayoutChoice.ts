/**
 * Spotlight or grid: what the person chose, kept in this browser.
 *
 * Somebody's screen wants to be read, so it takes the spotlight when it comes and gives
 * the grid back when it goes; a click in between decides otherwise.
 */
import { useEffect, useRef, useState } from "react";
import type { Layout } from "./Stage";

const SAVED = "weir.layout";

export function useLayoutChoice(screen: string | undefined): [Layout, (layout: Layout) => void] {
  const [layout, setLayout] = useState<Layout>(localStorage.getItem(SAVED) === "grid" ? "grid" : "spotlight");
  const interrupted = useRef(false);
  useEffect(() => {
    if (screen !== undefined) {
      setLayout((old) => {
        interrupted.current ||= old === "grid";
        return "spotlight";
      });
    } else if (interrupted.current) {
      interrupted.current = false;
      setLayout("grid");
    }
  }, [screen]);
  const choose = (next: Layout) => {
    interrupted.current = false;
    localStorage.setItem(SAVED, next);
    setLayout(next);
  };
  return [layout, choose];
}
