/** Which devices the person chose, kept in this browser. An unknown id is harmless: it is only a wish. */

export type DeviceKind = "audioinput" | "videoinput" | "audiooutput";

export function chosen(kind: DeviceKind): string {
  return localStorage.getItem(`weir.${kind}`) ?? "";
}

export function choose(kind: DeviceKind, id: string): void {
  localStorage.setItem(`weir.${kind}`, id);
}
