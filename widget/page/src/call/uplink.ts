/**
 * Whether what we send arrives: judged from the focus's receiver reports (RFC 3550 §6.4).
 *
 * `judge` is pure; `Uplink` reads statistics and tells changes.
 */

const EVERY = 2_000;
/** Share of packets lost from which a picture visibly suffers. */
const LOSSY = 0.08;
/** Seconds of round trip from which a talk becomes stilted. */
const SLOW = 0.6;
/** So many readings in a row must agree, so that one burst of loss changes nothing. */
const AGREEING = 2;

/** Milliseconds after which a report says nothing of now. */
const STALE = 5_000;

/** W3C webrtc-stats: `timestamp` is when the report came. */
interface Reported {
  readonly type: string;
  readonly timestamp: number;
  readonly fractionLost?: number;
  readonly roundTripTime?: number;
}

export type Quality = "good" | "poor";

export interface Report {
  /** Share of packets lost since the last report, 0 to 1; the worst of our lines. */
  readonly lost: number;
  /** Seconds; 0 when unknown. */
  readonly roundTrip: number;
}

/** What one reading says. */
export function judge(report: Report): Quality {
  return report.lost > LOSSY || report.roundTrip > SLOW ? "poor" : "good";
}

export class Uplink {
  private told: Quality = "good";
  private run = 0;
  private readonly timer: ReturnType<typeof setInterval>;

  constructor(
    private readonly pc: RTCPeerConnection,
    private readonly tell: (quality: Quality) => void,
  ) {
    this.timer = setInterval(() => void this.look(), EVERY);
  }

  close(): void {
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    let [lost, roundTrip] = [0, 0];
    const now = performance.timeOrigin + performance.now();
    (await this.pc.getStats()).forEach((one: Reported) => {
      // The last report of what is paused stays for ever.
      if (one.type !== "remote-inbound-rtp" || now - one.timestamp > STALE) return;
      lost = Math.max(lost, one.fractionLost ?? 0);
      roundTrip = Math.max(roundTrip, one.roundTripTime ?? 0);
    });
    const quality = judge({ lost, roundTrip });
    this.run = quality === this.told ? 0 : this.run + 1;
    if (this.run < AGREEING) return;
    this.run = 0;
    this.told = quality;
    this.tell(quality);
  }
}
