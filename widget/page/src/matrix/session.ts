/**
 * What a call needs of Matrix, for one room: the seam between the call and whoever speaks to a homeserver.
 *
 * Stand-alone, `sdk.ts` implements it with matrix-js-sdk. Inside a client, a widget's
 * host can: everything here has an action in the Widget API.
 */
import type { Device, StateEvent } from "../core/vocabulary";

export type Content = Readonly<Record<string, unknown>>;
export type Unsubscribe = () => void;

/** A to-device message, as it came. */
export interface ToDeviceMessage {
  readonly sender: string;
  readonly type: string;
  readonly content: Content;
  /** True when Olm carried it: then `sender` is proved by the session, not only by the homeserver. */
  readonly encrypted: boolean;
}

/** A request that the homeserver refused. */
export class Refused extends Error {
  constructor(
    /** HTTP status, 0 when the homeserver was not reached. */
    readonly status: number,
    readonly errcode: string,
    message: string,
  ) {
    super(message);
  }
}

export interface Session extends Device {
  readonly roomId: string;

  /** Send to one device, encrypted or not as this session is set up, in the order of the calls. */
  sendToDevice(to: Device, type: string, content: Content): Promise<void>;
  /** Throws `Refused`. */
  sendState(type: string, key: string, content: Content): Promise<void>;
  /** As `sendState`, from a page that is being closed: nothing can be awaited. */
  sendStateClosing(type: string, key: string, content: Content): void;
  /** Call, membership and power state of the room, as of the newest sync. */
  readState(): readonly StateEvent[];
  /** Invite a user. Throws `Refused`. */
  invite(userId: string): Promise<void>;
  /** A user's membership; asked of the homeserver where synced state may not have it, or not yet (`fresh`). */
  membershipOf(userId: string, fresh?: boolean): Promise<string>;
  /** The display name in this room, or what can be said without one. */
  nameOf(userId: string): string;
  roomName(): string;
  /** Whoever made the room; above all power levels since room version 12. */
  creators(): readonly string[];
  iceServers(): Promise<RTCIceServer[]>;

  onToDevice(hear: (message: ToDeviceMessage) => void): Unsubscribe;
  /** State, names or our membership changed. */
  onState(hear: () => void): Unsubscribe;
  /** The homeserver answers (true) or does not (false). */
  onSync(hear: (reached: boolean) => void): Unsubscribe;
  /** Stop following the room; resolves when nothing of this session runs any more. */
  close(): Promise<void>;
}
