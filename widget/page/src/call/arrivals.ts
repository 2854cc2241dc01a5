/**
 * What arrives on which line: read off the focus's newest description, and from what it says by message of lines.
 *
 * It knows lines by mid and tracks by `trackKey`. Who is shown is not its business.
 */
import { NOTHING_ASSIGNED, readAssigned, type Assigned } from "../core/assigned";
import type { Json } from "../core/json";
import { NOTHING_PAUSED, readPaused } from "../core/paused";
import { sections } from "../core/sdp";

export function trackKey(streamId: string, trackId: string): string {
  return `${streamId}\n${trackId}`;
}

export class Arrivals {
  private held = NOTHING_PAUSED;
  private assigned: Assigned = NOTHING_ASSIGNED;
  private readonly keys = new Map<string, string>();

  pause(content: Json): void {
    this.held = readPaused(content, this.held);
  }

  assign(content: Json): void {
    this.assigned = readAssigned(content, this.assigned);
  }

  /** The tracks that arrive now, by key. */
  read(pc: RTCPeerConnection): ReadonlyMap<string, MediaStreamTrack> {
    const tracks = new Map<string, MediaStreamTrack>();
    const assigned = new Map<string, { streamId: string; trackId: string }>();
    this.keys.clear();
    const lines = new Map(pc.getTransceivers().map((one) => [one.mid, one]));
    for (const line of sections(pc.remoteDescription?.sdp ?? "")) {
      const transceiver = lines.get(line.mid);
      if (!line.sends || !line.trackId || !transceiver) continue;
      const told = this.assigned.get(line.trackId);
      if (told) assigned.set(line.trackId, told);
      const { streamId, trackId } = told ?? line;
      const key = trackKey(streamId, trackId);
      tracks.set(key, transceiver.receiver.track);
      this.keys.set(line.mid, key);
    }
    // Lines that are gone have their names no more.
    this.assigned = assigned;
    return tracks;
  }

  /** Those of them that our link does not carry. */
  paused(): ReadonlySet<string> {
    return new Set([...this.held.mids].flatMap((mid) => this.keys.get(mid) ?? []));
  }
}
