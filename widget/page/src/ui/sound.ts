/**
 * Voices that the browser refuses to play before the person has clicked (autoplay policy).
 *
 * Elements register here; `blocked` is true while one waits, `resume` belongs into a click.
 */
import { Store } from "../store";

export class Sound {
  readonly store = new Store<{ readonly blocked: boolean }>({ blocked: false });
  private readonly waiting = new Set<HTMLAudioElement>();

  /** Play an element whose source was just set. */
  async play(element: HTMLAudioElement): Promise<void> {
    try {
      await element.play();
      this.forget(element);
    } catch (error) {
      // AbortError: the source was exchanged meanwhile, and the newer call decides.
      if (error instanceof DOMException && error.name === "NotAllowedError") this.waiting.add(element);
      this.tell();
    }
  }

  forget(element: HTMLAudioElement): void {
    this.waiting.delete(element);
    this.tell();
  }

  /** Play everything that waits; call it from a click. */
  readonly resume = (): void => {
    for (const element of [...this.waiting]) void this.play(element);
  };

  private tell(): void {
    this.store.set({ blocked: this.waiting.size > 0 });
  }
}
