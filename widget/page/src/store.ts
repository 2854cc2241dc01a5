/** A value that can be watched. The whole of the page's state lives in a few of these. */

export class Store<T extends object> {
  private readonly hearers = new Set<() => void>();

  constructor(private current: T) {}

  get value(): T {
    return this.current;
  }

  /** Change some fields. Nobody is told when nothing changed. */
  set(patch: Partial<T>): void {
    const keys = Object.keys(patch) as (keyof T)[];
    if (keys.every((key) => Object.is(this.current[key], patch[key]))) return;
    this.current = { ...this.current, ...patch };
    for (const hear of [...this.hearers]) hear();
  }

  /** Hear of every change, until the returned function is called. */
  readonly watch = (hear: () => void): (() => void) => {
    this.hearers.add(hear);
    return () => this.hearers.delete(hear);
  };

  /** The value, as React's `useSyncExternalStore` asks for it. */
  readonly read = (): T => this.current;
}
