/** What the browser tells a component about its room: sizes, media queries, the address. */
import { useCallback, useLayoutEffect, useState, useSyncExternalStore, type RefObject } from "react";
import { readRoute, type Route } from "../core/route";
import type { Size } from "../core/vocabulary";

/** The inner size of an element in whole CSS pixels; zero until it is known. */
export function useSize(ref: RefObject<HTMLElement | null>): Size {
  const [size, setSize] = useState<Size>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    const measure = () => {
      const [width, height] = [element.clientWidth, element.clientHeight];
      setSize((old) => (old.width === width && old.height === height ? old : { width, height }));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [ref]);
  return size;
}

/** Whether a media query holds now. */
export function useMedia(query: string): boolean {
  const watch = useCallback(
    (hear: () => void) => {
      const list = matchMedia(query);
      list.addEventListener("change", hear);
      return () => list.removeEventListener("change", hear);
    },
    [query],
  );
  return useSyncExternalStore(watch, () => matchMedia(query).matches);
}

function watchAddress(hear: () => void): () => void {
  addEventListener("hashchange", hear);
  return () => removeEventListener("hashchange", hear);
}

/** The route in the address bar. */
export function useRoute(): Route {
  const hash = useSyncExternalStore(watchAddress, () => location.hash);
  return readRoute(hash, location.search);
}
