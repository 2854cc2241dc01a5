/**
 * What the operator says about this page: /config.json, read strictly.
 *
 * A wrong value is an error that names the key: a page that guesses would fail later and
 * stranger.
 */
import { object, text } from "./core/json";
import type { Device } from "./core/vocabulary";

export type ToDevice = "olm" | "plain";

export interface Config {
  /** The homeserver's address as browsers reach it, without a trailing slash. */
  readonly homeserver: string;
  /** The focus to dial when nobody in the call uses another. */
  readonly focus: Device;
  /** Whether POST /demo/account makes guests. */
  readonly demo: boolean;
  /** The demo's room, which the bare address enters. */
  readonly room: string | undefined;
  /** How to-device messages to the focus travel. */
  readonly toDevice: ToDevice;
  readonly brand: string;
}

export class ConfigError extends Error {
  constructor(key: string, allowed: string) {
    super(`config.json: "${key}" must be ${allowed}`);
  }
}

/** Check a parsed config.json. Throws `ConfigError`. */
export function readConfig(value: unknown): Config {
  const words = object(value);
  if (!words) throw new ConfigError("", "an object");
  const homeserver = text(words.homeserver);
  if (!homeserver || !/^https?:\/\/[^/?#]+/.test(homeserver)) throw new ConfigError("homeserver", "an http(s) address");
  const userId = text(object(words.focus)?.user_id);
  const deviceId = text(object(words.focus)?.device_id);
  if (!userId || !/^@[^:]*:.+/.test(userId)) throw new ConfigError("focus.user_id", "a Matrix user id");
  if (!deviceId) throw new ConfigError("focus.device_id", "a device id");
  const demo = words.demo ?? false;
  if (typeof demo !== "boolean") throw new ConfigError("demo", "true or false");
  const toDevice = words.to_device ?? "olm";
  if (toDevice !== "olm" && toDevice !== "plain") throw new ConfigError("to_device", '"olm" or "plain"');
  const room = words.room ?? undefined;
  if (room !== undefined && (typeof room !== "string" || !/^[!#]/.test(room))) throw new ConfigError("room", "a room id");
  const brand = words.brand ?? "Weir";
  if (typeof brand !== "string" || brand === "") throw new ConfigError("brand", "a name");
  return { homeserver: homeserver.replace(/\/+$/, ""), focus: { userId, deviceId }, demo, room, toDevice, brand };
}

/** Fetch and check config.json beside the page. */
export async function loadConfig(): Promise<Config> {
  const answer = await fetch("./config.json", { cache: "no-store" });
  if (!answer.ok) throw new Error(`config.json: ${answer.status}`);
  return readConfig(await answer.json());
}
