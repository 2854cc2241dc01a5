/** A store's value in a component, which is drawn anew when it changes. */
import { useSyncExternalStore } from "react";
import type { Store } from "../store";

export function useStore<T extends object>(store: Store<T>): T {
  return useSyncExternalStore(store.watch, store.read);
}
