/** Keeps what has left a list for a moment longer, so that it can be seen going. */
import { useEffect, useState } from "react";

interface Named {
  readonly id: string;
}

/** The entries that left within the last `linger` milliseconds and have not come back. */
export function useDeparting<T extends Named>(entries: readonly T[], linger: number): readonly T[] {
  const [last, setLast] = useState(entries);
  const [departing, setDeparting] = useState<readonly T[]>([]);
  if (last !== entries) {
    setLast(entries);
    const here = new Set(entries.map((entry) => entry.id));
    const gone = last.filter((entry) => !here.has(entry.id));
    const still = departing.filter((entry) => !here.has(entry.id));
    if (gone.length || still.length !== departing.length) setDeparting([...still, ...gone]);
  }
  useEffect(() => {
    if (departing.length === 0) return;
    const timer = setTimeout(() => setDeparting([]), linger);
    return () => clearTimeout(timer);
  }, [departing, linger]);
  return departing;
}
