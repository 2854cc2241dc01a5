/** Who is shown: the streams that the focus names, joined with the tracks that arrive and the names of their owners. */
import { replaceStreams } from "../core/metadata";
import type { Kind, StreamInfo } from "../core/vocabulary";
import { trackKey } from "./arrivals";
import type { RemoteStream } from "./state";

export type Tracks = ReadonlyMap<string, MediaStreamTrack>;

export class Roster {
  infos: readonly StreamInfo[] = [];
  private tracks: Tracks = new Map();
  private paused: ReadonlySet<string> = new Set();
  private shown: readonly RemoteStream[] = [];

  setInfos(newest: readonly StreamInfo[]): void {
    this.infos = replaceStreams(this.infos, newest);
  }

  /** How many others are in the call with a stream. */
  get people(): number {
    return new Set(this.infos.map(({ owner }) => owner.userId)).size;
  }

  /** Without any, nothing is paused either: the leg is over. */
  setTracks(tracks: Tracks): void {
    this.tracks = tracks;
    if (tracks.size === 0) this.paused = new Set();
  }

  /** Pictures that our link does not carry. */
  setPaused(tracks: ReadonlySet<string>): void {
    this.paused = tracks;
  }

  /** All streams; entries of which nothing changed are the same objects as before. */
  read(nameOf: (userId: string) => string): readonly RemoteStream[] {
    const before = new Map(this.shown.map((one) => [one.info.id, one]));
    const now = this.infos.map((info) => {
      const [video, audio] = [this.find(info, "video"), this.find(info, "audio")];
      const fresh = { info, name: nameOf(info.owner.userId), video: video?.[1], audio: audio?.[1], paused: this.paused.has(video?.[0] ?? "") };
      const old = before.get(info.id);
      return old && same(old, fresh) ? old : fresh;
    });
    const unmoved = now.length === this.shown.length && now.every((one, place) => one === this.shown[place]);
    this.shown = unmoved ? this.shown : now;
    return this.shown;
  }

  private find(info: StreamInfo, kind: Kind): [string, MediaStreamTrack] | undefined {
    for (const { id } of info.tracks.filter((track) => track.kind === kind)) {
      const key = trackKey(info.id, id);
      const track = this.tracks.get(key);
      if (track) return [key, track];
    }
    return undefined;
  }
}

function same(a: RemoteStream, b: RemoteStream): boolean {
  return a.info === b.info && a.name === b.name && a.video === b.video && a.audio === b.audio && a.paused === b.paused;
}
