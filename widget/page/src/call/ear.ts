/**
 * Who is heard: levels of everything that arrives, and of our own voice, read a few times a second.
 *
 * What follows from levels is decided in `core/speaker.ts`.
 */
import { hear, SILENCE, speaking, type Speech } from "../core/speaker";
import { OWN } from "./state";

const EVERY = 150;
/** A level that was measured longer ago than this is of a packet before a silence. */
const FRESH = 400;

/** Where a stream's level comes from. */
export interface Source {
  readonly streamId: string;
  readonly receiver: RTCRtpReceiver;
}

export class Ear {
  private others: Speech = SILENCE;
  private own: Speech = SILENCE;
  private told: readonly string[] = [];
  private readonly timer: ReturnType<typeof setInterval>;

  constructor(
    private readonly sources: () => readonly Source[],
    private readonly voice: () => RTCRtpSender | undefined,
    private readonly tell: (speaking: ReadonlySet<string>, floor: string | undefined) => void,
  ) {
    this.timer = setInterval(() => void this.listen(), EVERY);
  }

  close(): void {
    clearInterval(this.timer);
  }

  /** The focus says who has the floor, and who had it before. */
  follow(speakers: readonly string[]): void {
    this.told = speakers;
  }

  private async listen(): Promise<void> {
    const levels = new Map<string, number>();
    for (const { streamId, receiver } of this.sources()) {
      const newest = receiver.getSynchronizationSources()[0];
      const fresh = newest && performance.timeOrigin + performance.now() - newest.timestamp < FRESH;
      levels.set(streamId, Math.max(levels.get(streamId) ?? 0, fresh ? (newest.audioLevel ?? 0) : 0));
    }
    const now = performance.now();
    this.others = hear(this.others, levels, now, this.told);
    this.own = hear(this.own, new Map([[OWN, await ownLevel(this.voice())]]), now);
    this.tell(new Set([...speaking(this.others), ...speaking(this.own)]), this.others.floor);
  }
}

async function ownLevel(sender: RTCRtpSender | undefined): Promise<number> {
  if (!sender?.track?.enabled) return 0;
  let level = 0;
  // W3C webrtc-stats: `audioLevel` of an audio media source, 0 to 1.
  (await sender.getStats()).forEach((one: { type: string; audioLevel?: number }) => {
    if (one.type === "media-source") level = one.audioLevel ?? 0;
  });
  return level;
}
