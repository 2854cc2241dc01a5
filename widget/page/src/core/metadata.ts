/**
 * Stream metadata to values and back (MSC3077 purpose, MSC3291 mute, MSC3898 tracks).
 *
 * Every message is the complete set of what we may subscribe to, so the newest replaces
 * what was known; order and identity of streams that stay are kept, so that tiles do too.
 */
import { list, number, object, text } from "./json";
import { sameDevice, type Device, type Kind, type Purpose, type StreamInfo, type TrackInfo } from "./vocabulary";

/** The key in to-device messages; data channel messages use the stable one. */
export const TO_DEVICE_METADATA = "org.matrix.msc3077.sdp_stream_metadata";
export const CHANNEL_METADATA = "sdp_stream_metadata";

/** Bounds against a focus gone wild: more is left out. */
const MOST_STREAMS = 1000;
const MOST_TRACKS = 32;

/** Read a metadata object. Streams of unknown purpose, without owner or our own are left out. */
export function readMetadata(value: unknown, self: Device): StreamInfo[] {
  const found: StreamInfo[] = [];
  for (const [id, entry] of Object.entries(object(value) ?? {}).slice(0, MOST_STREAMS)) {
    const words = object(entry);
    const userId = text(words?.user_id);
    const deviceId = text(words?.device_id);
    const purpose = words?.purpose ?? "m.usermedia";
    if (!words || !userId || !deviceId || id === "") continue;
    if (purpose !== "m.usermedia" && purpose !== "m.screenshare") continue;
    const owner = { userId, deviceId };
    if (sameDevice(owner, self)) continue;
    found.push({
      id,
      owner,
      purpose,
      audioMuted: words.audio_muted === true,
      videoMuted: words.video_muted === true,
      tracks: readTracks(words.tracks),
    });
  }
  return found;
}

function readTracks(value: unknown): TrackInfo[] {
  const found: TrackInfo[] = [];
  for (const [id, entry] of Object.entries(object(value) ?? {}).slice(0, MOST_TRACKS)) {
    const words = object(entry);
    const kind = words?.kind;
    if (id === "" || (kind !== "audio" && kind !== "video")) continue;
    found.push({ id, kind, width: number(words?.width) ?? 0, height: number(words?.height) ?? 0 });
  }
  return found;
}

/** The newest full set, with streams that were known before first and in their old order. */
export function replaceStreams(before: readonly StreamInfo[], newest: readonly StreamInfo[]): readonly StreamInfo[] {
  const fresh = new Map(newest.map((stream) => [stream.id, stream]));
  const kept: StreamInfo[] = [];
  for (const old of before) {
    const now = fresh.get(old.id);
    if (!now) continue;
    kept.push(same(old, now) ? old : now);
    fresh.delete(old.id);
  }
  const all = [...kept, ...fresh.values()];
  return all.length === before.length && all.every((stream, i) => stream === before[i]) ? before : all;
}

function same(a: StreamInfo, b: StreamInfo): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** What we say of one stream of ours. */
export interface OwnStream {
  readonly id: string;
  readonly purpose: Purpose;
  readonly audioMuted: boolean;
  readonly videoMuted: boolean;
  readonly tracks: readonly TrackInfo[];
}

/** Our own streams as metadata; always the full set. */
export function writeMetadata(streams: readonly OwnStream[], self: Device): Record<string, unknown> {
  return Object.fromEntries(
    streams.map((stream) => [
      stream.id,
      {
        user_id: self.userId,
        device_id: self.deviceId,
        purpose: stream.purpose,
        audio_muted: stream.audioMuted,
        video_muted: stream.videoMuted,
        tracks: Object.fromEntries(stream.tracks.map((track) => [track.id, writeTrack(track)])),
      },
    ]),
  );
}

function writeTrack(track: TrackInfo): Record<string, unknown> {
  return track.width && track.height
    ? { kind: track.kind, width: track.width, height: track.height }
    : { kind: track.kind };
}

/** The first track of a kind. */
export function trackOf(stream: StreamInfo, kind: Kind): TrackInfo | undefined {
  return list(stream.tracks).length ? stream.tracks.find((track) => track.kind === kind) : undefined;
}
