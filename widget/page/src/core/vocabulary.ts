/**
 * The words of a call: who, which stream, what is wanted. Plain values, no behaviour.
 *
 * Wire names (MSC3401, MSC3898) stay in the files that read and write the wire.
 */

/** A Matrix device: one participant, or a focus. */
export interface Device {
  readonly userId: string;
  readonly deviceId: string;
}

export type Kind = "audio" | "video";
export type Purpose = "m.usermedia" | "m.screenshare";

export interface TrackInfo {
  readonly id: string;
  readonly kind: Kind;
  /** Full capture size in pixels, 0 when not told. */
  readonly width: number;
  readonly height: number;
}

/** A published stream, as its metadata says (MSC3077, MSC3291, MSC3898). */
export interface StreamInfo {
  readonly id: string;
  readonly owner: Device;
  readonly purpose: Purpose;
  readonly audioMuted: boolean;
  readonly videoMuted: boolean;
  readonly tracks: readonly TrackInfo[];
}

/** A size on the screen, in device pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** One state event of the room, as much of it as a call needs. */
export interface StateEvent {
  readonly type: string;
  readonly key: string;
  readonly sender: string;
  /** When the homeserver took it, milliseconds since the epoch. */
  readonly at: number;
  readonly content: Readonly<Record<string, unknown>>;
}

export function sameDevice(a: Device, b: Device): boolean {
  return a.userId === b.userId && a.deviceId === b.deviceId;
}
