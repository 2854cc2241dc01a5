/**
 * Keeps the focus told what we want to receive: what is seen, and all that is heard.
 *
 * It knows when to tell; what to ask for is decided in `core/subscription.ts`.
 */
import {
  awaitsLayout,
  change,
  DEBOUNCE,
  isUrgent,
  LAYOUT,
  wantedSize,
  wants,
  type Subscription,
  type Want,
} from "../core/subscription";
import type { Size, StreamInfo } from "../core/vocabulary";

export class Subscriber {
  private told: readonly Want[] = [];
  private streams: readonly StreamInfo[] = [];
  private shown: ReadonlyMap<string, Size> = new Map();
  private pinned: string | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `send` returns false while nothing can be told. */
  constructor(private readonly send: (change: Subscription) => boolean) {}

  /** A new leg knows nothing of what an old one was told. */
  forget(): void {
    this.told = [];
  }

  setStreams(streams: readonly StreamInfo[]): void {
    this.streams = streams;
    if (awaitsLayout(this.told, streams, this.shown)) this.within(LAYOUT);
    else this.soon();
  }

  /** Sizes in CSS pixels by stream id; `density` in device pixels for each. */
  show(pictures: ReadonlyMap<string, Size>, density: number): void {
    this.shown = new Map([...pictures].map(([id, size]) => [id, wantedSize(size, density)]));
    this.soon();
  }

  /** Which stream somebody chose to look at, if any. */
  pin(id: string | undefined): void {
    this.pinned = id;
    this.soon();
  }

  /** Tell now, if there is anything to tell. */
  tell(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const wanted = this.wanted();
    const moved = change(this.told, wanted, this.streams);
    if (moved && this.send(moved)) this.told = wanted;
  }

  close(): void {
    clearTimeout(this.timer);
  }

  private soon(): void {
    if (isUrgent(this.told, this.wanted())) return this.tell();
    this.within(DEBOUNCE);
  }

  private within(milliseconds: number): void {
    this.timer ??= setTimeout(() => this.tell(), milliseconds);
  }

  private wanted(): Want[] {
    return wants(this.streams, this.shown, this.pinned);
  }
}
