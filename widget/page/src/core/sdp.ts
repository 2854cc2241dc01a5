/**
 * The little that the page reads from and writes into session descriptions.
 *
 * It never touches addresses or keys. Parsing is by line; what it does not know stays as it was.
 */

/** One media section's name and what it carries. */
export interface Section {
  readonly mid: string;
  readonly kind: string;
  /** From the view of whoever wrote the description. */
  readonly sends: boolean;
  /** `a=msid`, when there is one. */
  readonly streamId: string;
  readonly trackId: string;
}

/** The media sections of a description, in order. */
export function sections(sdp: string): Section[] {
  return split(sdp)
    .slice(1)
    .map((lines) => {
      const value = (name: string) => lines.find((line) => line.startsWith(`a=${name}:`))?.slice(name.length + 3) ?? "";
      const [streamId = "", trackId = ""] = value("msid").split(" ");
      const off = lines.includes("a=recvonly") || lines.includes("a=inactive") || (lines[0] ?? "").split(" ")[1] === "0";
      return { mid: value("mid"), kind: (lines[0] ?? "m=").slice(2).split(" ")[0] ?? "", sends: !off, streamId, trackId };
    });
}

/**
 * Ask for discontinuous transmission in every Opus format (RFC 7587 §6.1): silence sends nothing.
 *
 * In our own description it asks the other side; in the other's it makes our encoder do it.
 */
export function withDtx(sdp: string): string {
  const opus = [...sdp.matchAll(/^a=rtpmap:(\d+) opus\//gim)].map((match) => match[1]);
  let munged = sdp;
  for (const payload of opus) {
    const line = new RegExp(`^a=fmtp:${payload} (?!.*usedtx=)(.*?)(\\r?)$`, "gm");
    munged = munged.replace(line, `a=fmtp:${payload} $1;usedtx=1$2`);
  }
  return munged;
}

function split(sdp: string): string[][] {
  return sdp.split(/^(?=m=)/m).map((part) => part.split(/\r?\n/).filter((line) => line !== ""));
}
