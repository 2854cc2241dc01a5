/**
 * What a call shows of itself: the whole of it in one value that can be watched.
 *
 * `call.ts` writes it, the interface reads it. No behaviour here.
 */
import type { Size, StreamInfo } from "../core/vocabulary";
import type { MediaProblem } from "../media/problem";

/**
 * Where a call stands: `entering` the room, `connecting` to the focus for the first time,
 * `live`, `reconnecting` after it was live, `stopped` by a problem, `left` by the person.
 */
export type Phase = "entering" | "connecting" | "live" | "reconnecting" | "stopped" | "left";

/** Why a call cannot go on without the person. */
export type Problem =
  /** The room does not let this user write call state. `mayAllow` says whether they can change that. */
  | { readonly kind: "notAllowed"; readonly mayAllow: boolean }
  /** The room does not exist, or is by invitation only. */
  | { readonly kind: "noRoom" }
  /** The homeserver does not take the login any more. */
  | { readonly kind: "loggedOut" }
  /** The homeserver is not reached at all. */
  | { readonly kind: "homeserver" }
  /** The room bans this user, or denies their server. */
  | { readonly kind: "banned" | "serverDenied" }
  /** The person was taken out of the room, but may come back. */
  | { readonly kind: "removed" }
  /** The same device is in the call somewhere else, or the focus knows this device as another. */
  | { readonly kind: "replaced" | "otherDevice" }
  /** Somebody ended the call for all. */
  | { readonly kind: "callEnded" }
  /** The browser cannot make calls (no WebRTC). */
  | { readonly kind: "browser" }
  | { readonly kind: "unknown"; readonly detail: string };

/** What delays a connection that is still being tried; shown after a while. */
export type Delay =
  /** The focus does not answer. */
  | "focus"
  /** The focus is not in the room, and we may not invite it: somebody else has to. */
  | "uninvited"
  /** The focus refused us for now: it is full. */
  | "busy"
  /** Media does not get through. */
  | "media"
  | "homeserver";

/** Somebody else's stream, with the tracks of it that arrive. */
export interface RemoteStream {
  readonly info: StreamInfo;
  /** The owner's display name. */
  readonly name: string;
  /** Set while the focus sends it to us. */
  readonly video: MediaStreamTrack | undefined;
  readonly audio: MediaStreamTrack | undefined;
  /** Our link does not carry the picture. */
  readonly paused: boolean;
}

export interface CallState {
  readonly phase: Phase;
  /** Set when and only when `stopped`. */
  readonly problem: Problem | undefined;
  /** While connecting or reconnecting: what it waits for, as far as known. */
  readonly delay: Delay | undefined;
  readonly roomName: string;
  /** Our own display name. */
  readonly ownName: string;
  /** In the order in which they came; an entry keeps its identity while nothing of it changes. */
  readonly streams: readonly RemoteStream[];
  /** Ids of the streams whose voice is heard now; our own is `OWN`. */
  readonly speaking: ReadonlySet<string>;
  /** The stream that has the floor: the last speaker among the others. */
  readonly floor: string | undefined;
  /** The focus's user id, to name it to whoever has to invite it. */
  readonly focusUser: string;
  /** The others in the room may not join calls, and we can change that: worth offering. */
  readonly closedToOthers: boolean;
  /** Whether what we send reaches the focus, for a mark on our own tile. */
  readonly uplink: "good" | "poor";
}

/** Our own camera's id in `speaking`. */
export const OWN = "own";

/** What the interface asks of a call. */
export interface CallControls {
  /** The visible pictures and how large they are, in CSS pixels, by stream id. Anything not in it is not sent to us. */
  show(pictures: ReadonlyMap<string, Size>): void;
  /** Which stream somebody chose to look at, if any. */
  pin(id: string | undefined): void;
  /** As an admin, allow everybody in the room to join calls, then go on. Throws `Refused`. */
  allow(): Promise<void>;
  /** Try again after a problem. */
  retry(): void;
  /** Hang up; resolves once the room has been told, or cannot be. */
  leave(): Promise<void>;
}

export type { MediaProblem };
