/**
 * How a person, or a guest of the demo, comes to have a device on the homeserver.
 *
 * A person's login is kept in this browser and used by one tab at a time; a guest's name
 * and password are kept for this tab only, and each load is a fresh device.
 */
import { createClient } from "matrix-js-sdk";
import type { Config } from "../config";
import { object, parseObject, text } from "../core/json";
import { quiet } from "./quiet";

export interface Login {
  readonly userId: string;
  readonly deviceId: string;
  readonly accessToken: string;
  /** Guests keep their keys in memory: their device does not outlive the page. */
  readonly guest: boolean;
}

const SAVED = "weir.login";
const GUEST = "weir.guest";
const LOCK = "weir.session";

/** Log in with a password. Throws the SDK's `MatrixError`. */
export async function passwordLogin(homeserver: string, user: string, password: string, guest: boolean): Promise<Login> {
  const answer = await createClient({ baseUrl: homeserver, logger: quiet }).loginRequest({
    type: "m.login.password",
    identifier: { type: "m.id.user", user },
    password,
    initial_device_display_name: `Weir (${guest ? "guest" : location.hostname})`,
  });
  return { userId: answer.user_id, deviceId: answer.device_id, accessToken: answer.access_token, guest };
}

/** A guest account of the demo: the one that this tab had, else a new one. */
export async function guestLogin(config: Config): Promise<Login> {
  const kept = parseObject(sessionStorage.getItem(GUEST));
  if (kept && text(kept.user_id) && text(kept.password) && kept.homeserver === config.homeserver) {
    try {
      return await passwordLogin(config.homeserver, String(kept.user_id), String(kept.password), true);
    } catch {
      // The demo was started anew, on another homeserver of the same address.
      sessionStorage.removeItem(GUEST);
    }
  }
  const answer = await fetch("./demo/account", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: "{}",
  });
  if (!answer.ok) throw new Error(`demo/account: ${answer.status}`);
  const account = object(await answer.json()) ?? {};
  const userId = text(account.user_id);
  const password = text(account.password);
  if (userId && password) {
    sessionStorage.setItem(GUEST, JSON.stringify({ user_id: userId, password, homeserver: config.homeserver }));
    return passwordLogin(config.homeserver, userId, password, true);
  }
  const deviceId = text(account.device_id);
  const accessToken = text(account.access_token);
  if (!userId || !deviceId || !accessToken) throw new Error("demo/account: no account in the answer");
  return { userId, deviceId, accessToken, guest: true };
}

/** The login kept in this browser for this homeserver. */
export function savedLogin(homeserver: string): Login | undefined {
  const kept = parseObject(localStorage.getItem(SAVED));
  const userId = text(kept?.user_id);
  const deviceId = text(kept?.device_id);
  const accessToken = text(kept?.access_token);
  if (kept?.homeserver !== homeserver || !userId || !deviceId || !accessToken) return undefined;
  return { userId, deviceId, accessToken, guest: false };
}

export function saveLogin(homeserver: string, login: Login): void {
  localStorage.setItem(
    SAVED,
    JSON.stringify({
      homeserver,
      user_id: login.userId,
      device_id: login.deviceId,
      access_token: login.accessToken,
    }),
  );
}

export function forgetLogin(): void {
  localStorage.removeItem(SAVED);
}

/** Have the homeserver forget a login too. Not reached, it keeps a device that nobody uses. */
export async function endLogin(homeserver: string, login: Login): Promise<void> {
  await fetch(`${homeserver}/_matrix/client/v3/logout`, {
    method: "POST",
    headers: { Authorization: `Bearer ${login.accessToken}` },
  }).catch(() => undefined);
}

/**
 * Take the kept login for this tab, until the page is closed. False: another tab has it.
 *
 * Two tabs with one device would share one Olm account and break it.
 */
export function takeLogin(): Promise<boolean> {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    void navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock ? new Promise<never>(() => undefined) : undefined;
    });
  });
}
