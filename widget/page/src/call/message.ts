/**
 * The envelope of to-device call messages (MSC3401 §4): what we write on each, and which of those that come are for us.
 *
 * Pure. A focus is known by user and device; its session is always called `sfu`.
 */
import { text, type Json } from "../core/json";
import type { Device } from "../core/vocabulary";
import type { ToDeviceMessage } from "../matrix/session";

export const FOCUS_SESSION = "sfu";

/** One dial: everything that names it on the wire. */
export interface Dial {
  readonly self: Device;
  readonly focus: Device;
  /** The group call: state key of `m.call`. */
  readonly conf: string;
  /** Of this load of the page. */
  readonly sessionId: string;
  readonly callId: string;
  /** Whether our messages to the focus are encrypted. */
  readonly olm: boolean;
}

/** The fields that every message carries; `seq` counts from 0 in each call. */
export function envelope(dial: Dial, seq: number, id: string): Json {
  return {
    version: "1",
    call_id: dial.callId,
    conf_id: dial.conf,
    party_id: dial.self.deviceId,
    device_id: dial.self.deviceId,
    sender_session_id: dial.sessionId,
    dest_session_id: FOCUS_SESSION,
    seq,
    "org.matrix.msgid": id,
  };
}

/**
 * Whether a message belongs to this dial.
 *
 * A focus that was restarted knows no call id any more: its hangup may come without one.
 * What brings us keys of a media session must be encrypted when we encrypt.
 */
export function isFor(dial: Dial, message: ToDeviceMessage): boolean {
  const { sender, type, content, encrypted } = message;
  if (sender !== dial.focus.userId || content.device_id !== dial.focus.deviceId) return false;
  if (content.conf_id !== dial.conf || content.dest_session_id !== dial.sessionId) return false;
  if (content.call_id !== dial.callId && !(type === "m.call.hangup" && content.call_id === undefined)) return false;
  return encrypted || !dial.olm || type === "m.call.hangup" || type === "m.call.reject";
}

/** Why the focus hung up or rejected; absent means that it was asked to. */
export function reasonOf(content: Json): string {
  return text(content.reason) ?? "user_hangup";
}
