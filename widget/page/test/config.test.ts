/** config.json: what is missing has a default, what is wrong has its key named. */
import { describe, expect, test } from "vitest";
import { ConfigError, readConfig } from "../src/config";
import { ODD } from "./chance";

const LEAST = { homeserver: "https://matrix.example.org", focus: { user_id: "@weir:example.org", device_id: "WEIR" } };

describe("settings", () => {
  test("that say the least have defaults for the rest", () => {
    expect(readConfig(LEAST)).toEqual({
      homeserver: "https://matrix.example.org",
      focus: { userId: "@weir:example.org", deviceId: "WEIR" },
      demo: false,
      room: undefined,
      toDevice: "olm",
      brand: "Weir",
    });
  });

  test("that say everything are taken as they are", () => {
    const all = { ...LEAST, demo: true, room: "#team:x", to_device: "plain", brand: "Club" };
    expect(readConfig(all)).toMatchObject({ demo: true, room: "#team:x", toDevice: "plain", brand: "Club" });
  });

  test.each(["https://x.org/", "https://x.org//", "https://x.org"])("know %s without its slashes", (homeserver) => {
    expect(readConfig({ ...LEAST, homeserver }).homeserver).toBe("https://x.org");
  });
});

describe("an error names the key", () => {
  const [{ user_id, device_id }] = [LEAST.focus];
  test.each<[string, unknown]>([
    ["homeserver", { ...LEAST, homeserver: undefined }],
    ["homeserver", { ...LEAST, homeserver: "matrix.example.org" }],
    ["homeserver", { ...LEAST, homeserver: "ftp://x.org" }],
    ["homeserver", { ...LEAST, homeserver: "https://" }],
    ["focus.user_id", { ...LEAST, focus: undefined }],
    ["focus.user_id", { ...LEAST, focus: { device_id } }],
    ["focus.user_id", { ...LEAST, focus: { user_id: "weir", device_id } }],
    ["focus.user_id", { ...LEAST, focus: { user_id: "@weir:", device_id } }],
    ["focus.device_id", { ...LEAST, focus: { user_id } }],
    ["focus.device_id", { ...LEAST, focus: { user_id, device_id: "" } }],
    ["demo", { ...LEAST, demo: "yes" }],
    ["demo", { ...LEAST, demo: 1 }],
    ["room", { ...LEAST, room: "team" }],
    ["room", { ...LEAST, room: 7 }],
    ["to_device", { ...LEAST, to_device: "pigeon" }],
    ["to_device", { ...LEAST, to_device: true }],
    ["brand", { ...LEAST, brand: "" }],
    ["brand", { ...LEAST, brand: {} }],
  ])("%s", (key, value) => {
    expect(() => readConfig(value)).toThrow(ConfigError);
    expect(() => readConfig(value)).toThrow(`"${key}"`);
  });

  test("or that there are no settings at all", () => {
    for (const odd of ODD) expect(() => readConfig(odd)).toThrow(ConfigError);
  });
});
