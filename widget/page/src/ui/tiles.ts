/**
 * The tiles of a call, from its state and our own media: pure, in the order in which they lie.
 *
 * Our own come first, so that they stay in place while others come and go.
 */
import { OWN, type CallState, type RemoteStream } from "../call/state";
import type { Device, Purpose, Size } from "../core/vocabulary";
import type { MediaState } from "../media/local";

/** Our shared screen's tile. */
export const OWN_SCREEN = "own-screen";

export interface TileView {
  readonly id: string;
  readonly owner: Device;
  readonly name: string;
  readonly purpose: Purpose;
  readonly own: boolean;
  readonly video: MediaStreamTrack | undefined;
  /** What is to be heard from here; never our own voice. */
  readonly audio: MediaStreamTrack | undefined;
  /** Whether a picture is meant to be seen. */
  readonly pictured: boolean;
  /** It is, but our link does not carry it now. */
  readonly paused: boolean;
  readonly muted: boolean;
  /** Size of the capture, where it is told. */
  readonly captured: Size | undefined;
}

export function tilesOf(state: CallState, media: MediaState, self: Device): TileView[] {
  const own = { owner: self, name: state.ownName || self.userId, own: true, audio: undefined, paused: false, captured: undefined };
  const tiles: TileView[] = [
    {
      ...own,
      id: OWN,
      purpose: "m.usermedia",
      video: media.camera.track,
      pictured: media.camera.on && media.camera.track !== undefined,
      muted: !media.mic.on,
    },
  ];
  if (media.share) {
    const video = media.share.video;
    tiles.push({ ...own, id: OWN_SCREEN, purpose: "m.screenshare", video, pictured: true, muted: false });
  }
  return [...tiles, ...state.streams.map(remote)];
}

function remote({ info, name, video, audio, paused }: RemoteStream): TileView {
  return {
    id: info.id,
    owner: info.owner,
    name,
    purpose: info.purpose,
    own: false,
    video,
    audio,
    pictured: !info.videoMuted && info.tracks.some((track) => track.kind === "video"),
    paused,
    muted: info.purpose === "m.usermedia" && (info.audioMuted || !info.tracks.some((track) => track.kind === "audio")),
    captured: info.tracks.find((track) => track.kind === "video"),
  };
}

export interface Person {
  readonly key: string;
  readonly name: string;
  readonly own: boolean;
  readonly muted: boolean;
  readonly sharing: boolean;
}

/** Who is in the call: one entry for each device. */
export function peopleOf(tiles: readonly TileView[]): Person[] {
  const people = new Map<string, Person>();
  for (const tile of tiles) {
    const key = `${tile.owner.userId}\n${tile.owner.deviceId}`;
    const known = people.get(key);
    const screen = tile.purpose === "m.screenshare";
    people.set(key, {
      key,
      name: tile.name,
      own: tile.own,
      muted: screen ? (known?.muted ?? true) : tile.muted,
      sharing: screen || (known?.sharing ?? false),
    });
  }
  return [...people.values()];
}

/** One or two letters for a face that is not shown. */
export function initials(name: string): string {
  const local = name.startsWith("@") ? (name.slice(1).split(":")[0] ?? "") : name;
  const words = local.split(/[\s._:-]+/).filter((word) => word !== "");
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => [...(word ?? "")][0] ?? "");
  return letters.join("").toUpperCase() || "?";
}

/** A number that stays with a user, for the colour of their avatar. */
export function shade(userId: string, shades: number): number {
  let hash = 0;
  for (const letter of userId) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) >>> 0;
  return hash % shades;
}
