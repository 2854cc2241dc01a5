/**
 * Room state of a call: which call is live, who is in it where, and our own entry (MSC3401 §3).
 *
 * Pure over state events. Times are milliseconds since the epoch and are arguments.
 */
import { list, number, object, objects, text, type Json } from "./json";
import { sameDevice, type Device, type Purpose, type StateEvent } from "./vocabulary";

export const CALL = "org.matrix.msc3401.call";
export const CALL_MEMBER = "org.matrix.msc3401.call.member";
export const MEMBER = "m.room.member";
export const POWER = "m.room.power_levels";
const FOCI = "org.matrix.msc3898.foci.active";

/** How long our entry holds; it is written anew at three quarters of that. */
export const LIFETIME = 3_600_000;
export const REFRESH = 2_700_000;

const INTENTS = ["m.ring", "m.prompt", "m.room"];
const TYPES = ["m.voice", "m.video"];

/** The id of the live call: the newest that is not terminated; `undefined` when there is none. */
export function liveCall(state: readonly StateEvent[]): string | undefined {
  return state
    .filter((event) => event.type === CALL && event.key !== "" && isLive(event.content))
    .sort((a, b) => b.at - a.at)[0]?.key;
}

/** Whether this call has been ended by somebody (MSC3401: test truthiness only). */
export function isTerminated(state: readonly StateEvent[], conf: string): boolean {
  const event = state.find((one) => one.type === CALL && one.key === conf);
  return event !== undefined && Boolean(event.content["m.terminated"]);
}

function isLive(content: Json): boolean {
  return (
    !content["m.terminated"] &&
    INTENTS.includes(String(content["m.intent"])) &&
    TYPES.includes(String(content["m.type"]))
  );
}

/** What a new call's state event says. */
export const NEW_CALL: Json = { "m.intent": "m.room", "m.type": "m.video", "io.element.ptt": false };

/** One device's entry in a call. */
export interface Entry extends Device {
  readonly sessionId: string;
  readonly expires: number;
  readonly foci: readonly Device[];
}

/** The live entries of a call, of users that are joined. */
export function entries(state: readonly StateEvent[], conf: string, now: number): Entry[] {
  const found: Entry[] = [];
  for (const event of state) {
    if (event.type !== CALL_MEMBER || !isJoined(state, event.key)) continue;
    for (const device of devicesOf(event.content, conf)) {
      const entry = readEntry(event.key, device, now);
      if (entry) found.push(entry);
    }
  }
  return found;
}

function readEntry(userId: string, device: Json, now: number): Entry | undefined {
  const deviceId = text(device.device_id);
  const sessionId = text(device.session_id);
  const expires = number(device.expires_ts);
  if (!deviceId || !sessionId || expires === undefined || expires <= now || !Array.isArray(device.feeds)) return undefined;
  const foci = list(device[FOCI]).flatMap((one) => {
    const focus = { userId: text(object(one)?.user_id), deviceId: text(object(one)?.device_id) };
    return focus.userId && focus.deviceId ? [{ userId: focus.userId, deviceId: focus.deviceId }] : [];
  });
  return { userId, deviceId, sessionId, expires, foci };
}

function devicesOf(content: Json, conf: string): Json[] {
  return list(content["m.calls"]).flatMap((call): Json[] =>
    object(call)?.["m.call_id"] === conf
      ? [...objects(object(call)?.["m.devices"])]
      : [],
  );
}

/** Where to dial: the focus that the others use, else ours. */
export function chooseFocus(others: readonly Entry[], self: Device, own: Device): Device {
  return others.find((entry) => !sameDevice(entry, self) && entry.foci.length > 0)?.foci[0] ?? own;
}

/** What we want our entry to say. */
export interface OwnEntry extends Device {
  readonly sessionId: string;
  readonly feeds: readonly Purpose[];
  readonly focus: Device;
}

/** Our user's member event with our device in the call; other devices that have not expired stay. */
export function withEntry(content: Json, conf: string, own: OwnEntry, now: number): Json {
  const kept = otherDevices(content, conf, own.deviceId, now);
  const entry = {
    device_id: own.deviceId,
    session_id: own.sessionId,
    expires_ts: now + LIFETIME,
    feeds: own.feeds.map((purpose) => ({ purpose })),
    [FOCI]: [{ user_id: own.focus.userId, device_id: own.focus.deviceId }],
  };
  return { "m.calls": [{ "m.call_id": conf, "m.devices": [...kept, entry] }] };
}

/** Our user's member event without our device. An emptied call is dropped. */
export function withoutEntry(content: Json, conf: string, deviceId: string, now: number): Json {
  const kept = otherDevices(content, conf, deviceId, now);
  return { "m.calls": kept.length ? [{ "m.call_id": conf, "m.devices": kept }] : [] };
}

function otherDevices(content: Json, conf: string, deviceId: string, now: number): Json[] {
  return devicesOf(content, conf).filter(
    (device) => device.device_id !== deviceId && (number(device.expires_ts) ?? 0) > now,
  );
}

/** The session id that room state names for a device, `undefined` when it names none. */
export function sessionOf(state: readonly StateEvent[], conf: string, self: Device): string | undefined {
  const event = state.find((one) => one.type === CALL_MEMBER && one.key === self.userId);
  const device = event && devicesOf(event.content, conf).find((one) => one.device_id === self.deviceId);
  return text(device?.session_id);
}

/** Room membership: "join", "invite", "leave", "ban", "knock"; "leave" when unknown. */
export function membership(state: readonly StateEvent[], userId: string): string {
  const event = state.find((one) => one.type === MEMBER && one.key === userId);
  return text(event?.content.membership) ?? "leave";
}

function isJoined(state: readonly StateEvent[], userId: string): boolean {
  const event = state.find((one) => one.type === MEMBER && one.key === userId);
  // Members are loaded lazily: no event means not loaded, and then the entry is believed.
  return event === undefined || event.content.membership === "join";
}
