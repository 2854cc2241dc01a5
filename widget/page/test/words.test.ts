/** Texts, plurals and problems: every language says everything, and no problem leaves a person without a way on. */
import { describe, expect, test } from "vitest";
import type { Problem } from "../src/call/state";
import { de } from "../src/strings/de";
import { en } from "../src/strings/en";
import { chooseLanguage, speaker, type Key } from "../src/strings/say";
import { explain } from "../src/ui/explain";
import { loginFault } from "../src/ui/loginFault";
import { initials, shade } from "../src/ui/tiles";
import { ODD } from "./chance";

const english = speaker("en", en);
const german = speaker("de", de);

describe("the language", () => {
  test.each([
    [["de-AT", "en"], "de"],
    [["fr", "DE"], "de"],
    [["fr-CH", "it"], "en"],
    [["en-GB", "de"], "en"],
    [["deutsch"], "en"],
    [[], "en"],
  ])("of a browser that wants %o is %s", (wanted, language) => {
    expect(chooseLanguage(wanted, ["en", "de"], "en")).toBe(language);
  });
});

describe("a text", () => {
  test("has the same blanks in every language", () => {
    const blanks = (text: unknown) => [...new Set(JSON.stringify(text).match(/\{\w+\}/g) ?? [])].sort();
    for (const key of Object.keys(en) as Key[]) expect([key, blanks(de[key])]).toEqual([key, blanks(en[key])]);
  });

  test.each([
    [0, "0 people", "0 Personen"],
    [1, "1 person", "1 Person"],
    [2, "2 people", "2 Personen"],
    [1200, "1,200 people", "1.200 Personen"],
  ])("counts %i", (n, inEnglish, inGerman) => {
    expect(english("people.count", { n })).toBe(inEnglish);
    expect(german("people.count", { n })).toBe(inGerman);
  });

  test("takes words as they are, and shows a blank that nobody filled", () => {
    expect(english("tile.screen", { name: "$& {name}" })).toBe("$& {name}’s screen");
    expect(english("tile.screen")).toBe("{name}’s screen");
  });
});

describe("a problem", () => {
  test.each<[Problem, string | undefined]>([
    [{ kind: "notAllowed", mayAllow: true }, "allow"],
    [{ kind: "notAllowed", mayAllow: false }, "retry"],
    [{ kind: "noRoom" }, "retry"],
    [{ kind: "loggedOut" }, "login"],
    [{ kind: "homeserver" }, "retry"],
    [{ kind: "banned" }, undefined],
    [{ kind: "serverDenied" }, undefined],
    [{ kind: "removed" }, "retry"],
    [{ kind: "replaced" }, "retry"],
    [{ kind: "otherDevice" }, "retry"],
    [{ kind: "callEnded" }, "retry"],
    [{ kind: "browser" }, undefined],
    [{ kind: "unknown", detail: "it broke" }, "retry"],
  ])("%o offers: %s", (problem, act) => {
    const found = explain(problem, "Team", english);
    expect(found.act?.kind).toBe(act);
    expect(found.title).not.toBe("");
    expect(found.body + found.title).not.toMatch(/[{}]/);
    expect(found.body.length).toBeGreaterThan(20);
  });

  test("tells whoever may not allow calls whom to ask", () => {
    expect(explain({ kind: "notAllowed", mayAllow: false }, "Team", english).body).toContain("Ask an admin");
  });
});

describe("a failed login", () => {
  test.each([
    [{ errcode: "M_FORBIDDEN", httpStatus: 403 }, "wrong"],
    [{ errcode: "M_LIMIT_EXCEEDED", httpStatus: 429 }, "limited"],
    [{ errcode: "M_USER_DEACTIVATED", httpStatus: 403 }, "unknown"],
    [{ httpStatus: 502 }, "unreachable"],
    [{ httpStatus: 404 }, "unknown"],
    [new TypeError("Failed to fetch"), "unreachable"],
  ])("with %o is %s", (error, fault) => {
    expect(loginFault(error)).toBe(fault);
  });

  test("has a name whatever was thrown", () => {
    for (const odd of ODD) expect(loginFault(odd)).toBe("unreachable");
  });
});

describe("an avatar", () => {
  test.each([
    ["Ada Lovelace", "AL"],
    ["ada", "A"],
    ["@ada:example.org", "A"],
    ["@ada.lovelace:example.org", "AL"],
    ["Tim  Berners-Lee", "TL"],
    ["Åsa Öberg", "ÅÖ"],
    ["🦦 Otter", "🦦O"],
    ["李", "李"],
    ["", "?"],
    [" . ", "?"],
  ])("of %s says %s", (name, letters) => {
    expect(initials(name)).toBe(letters);
  });

  test("keeps its colour, which is one that there is", () => {
    for (const id of ["@a:x", "@b:x", "", "@ü:x"]) {
      expect(shade(id, 8)).toBe(shade(id, 8));
      expect([0, 1, 2, 3, 4, 5, 6, 7]).toContain(shade(id, 8));
    }
  });
});
