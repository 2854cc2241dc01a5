/**
 * The address of the page: which room, and how to enter it.
 *
 * Room ids travel in the fragment, which browsers do not send to servers.
 */

export interface Route {
  /** Room id or alias; `undefined` on the front page. */
  readonly room: string | undefined;
  /** Enter as a guest of the demo, without a lobby. */
  readonly demo: boolean;
  /** How to-device messages travel, where the address says so. */
  readonly toDevice: "olm" | "plain" | undefined;
}

/** Read `location.hash`, and for the override `location.search` too. */
export function readRoute(hash: string, search = ""): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const words = new URLSearchParams(query);
  const toDevice = words.get("to_device") ?? new URLSearchParams(search).get("to_device");
  const room = path.startsWith("call/") ? decode(path.slice("call/".length)) : undefined;
  return {
    room: room && /^[!#]/.test(room) ? room : undefined,
    demo: words.get("demo") === "1",
    toDevice: toDevice === "olm" || toDevice === "plain" ? toDevice : undefined,
  };
}

/** The fragment of a room's link. */
export function writeRoute(room: string, demo: boolean): string {
  return `#/call/${encodeURIComponent(room)}${demo ? "?demo=1" : ""}`;
}

/** A room as a person types or pastes it: an id, an alias, a link of ours or of matrix.to. */
export function readRoom(typed: string): string | undefined {
  const word = typed.trim();
  const at = word.indexOf("#/call/");
  if (at >= 0) return readRoute(word.slice(at)).room;
  const permalink = /^https:\/\/matrix\.to\/#\/([^?/]+)/.exec(word)?.[1];
  const room = permalink ? decode(permalink) : word;
  return room && /^[!#]\S+$/.test(room) ? room : undefined;
}

function decode(word: string): string | undefined {
  try {
    return decodeURIComponent(word);
  } catch {
    return undefined;
  }
}
